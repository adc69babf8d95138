"""`--fail-on`: only a difference that is surely worse, and by more than was allowed, fails."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from made_up_cases import TODAY, case
from rich.console import Console

from bench.cli import app
from results.compare import Check, Section
from results.errors import ComparisonError
from results.record import RunRecord
from results.render import as_json, markdown, print_sections
from results.report import make_sections
from results.store import save
from results.thresholds import Threshold, judged, parse_thresholds, with_checks

LIMITS = ("usd_per_mtok:5%", "tokens_per_second:3%")


def side(speed: float, number: int, backends: Sequence[str] = ("torch-cpu",), **replace: object) -> list[RunRecord]:
    """Five runs of each backend in a sitting of their own."""
    own = {"suite_id": f"{number}" * 32, **replace}
    return [record for backend in backends for record in case(backend, speed, **own)]


def sections(base: list[RunRecord], new: list[RunRecord], *limits: str) -> list[Section]:
    sides = {"base": base, "new": new}
    return with_checks(make_sections(sides, TODAY), parse_thresholds(limits or LIMITS), sides)


def checks(base: list[RunRecord], new: list[RunRecord], *limits: str) -> list[Check]:
    return [check for section in sections(base, new, *limits) for check in section.checks]


@pytest.mark.parametrize(
    ("speed", "outcomes"),
    [
        (1000.0, ["held", "held"]),
        (1500.0, ["held", "held"]),  # better is never worse
        (960.0, ["undecided", "undecided"]),
        (950.0, ["undecided", "broken"]),
        (900.0, ["broken", "broken"]),
    ],
)
def test_the_interval_decides(speed: float, outcomes: list[str]) -> None:
    assert [check.outcome for check in checks(side(1000.0, 1), side(speed, 2))] == outcomes


def test_the_same_ratio_reads_both_ways() -> None:
    """What a token costs on one machine is one over how many there are."""
    cost, speed = checks(side(1000.0, 1), side(900.0, 2))
    assert cost.ratio is not None
    assert speed.ratio is not None
    assert cost.ratio.estimate * speed.ratio.estimate == pytest.approx(1)
    assert "1.111 times" in cost.sentence
    assert "0.900 times" in speed.sentence


@pytest.mark.parametrize(
    ("metric", "interval", "outcome"),
    [
        ("usd_per_mtok", (1.051, 1.2), "broken"),
        ("usd_per_mtok", (1.05, 1.2), "undecided"),
        ("usd_per_mtok", (0.9, 1.05), "held"),
        ("usd_per_mtok", (0.5, 0.6), "held"),
        ("tokens_per_second", (0.8, 0.949), "broken"),
        ("tokens_per_second", (0.8, 0.95), "undecided"),
        ("tokens_per_second", (0.95, 1.2), "held"),
        ("tokens_per_second", (1.5, 1.6), "held"),
    ],
)
def test_an_end_at_the_limit_is_not_beyond_it(metric: str, interval: tuple[float, float], outcome: str) -> None:
    assert judged(*interval, Threshold(metric=metric, share=0.05)) == outcome


def test_too_few_runs_break_nothing() -> None:
    (check,) = checks(side(1000.0, 1)[:2], side(500.0, 2)[:2], "tokens_per_second:3%")
    assert check.outcome == "undecided"
    assert "under 3 runs" in check.sentence


def test_a_run_without_a_rank_breaks_nothing() -> None:
    (check,) = checks(side(1000.0, 1), side(500.0, 2, measurement__compiled_graphs_after=2), "tokens_per_second:3%")
    assert check.outcome == "undecided"
    assert "no ranked run" in check.sentence


def test_backends_are_held_against_themselves() -> None:
    """Never jax against torch, nor a side against itself; one that is missing now is said, not passed over."""
    both = ("torch-cpu", "jax-cpu")
    found = checks(side(1000.0, 1, both), side(1000.0, 2, both), "usd_per_mtok:5%")
    assert {(check.baseline, check.case) for check in found} == {(f"base: {b}", f"new: {b}") for b in both}
    present, missing = checks(side(1000.0, 1, both), side(1000.0, 2), "usd_per_mtok:5%")
    assert present.outcome == "held"
    assert (missing.baseline, missing.outcome, missing.case) == ("base: jax-cpu", "undecided", None)


def test_sides_without_a_backend_in_common_are_refused() -> None:
    with pytest.raises(ComparisonError, match="nothing to hold"):
        checks(side(1000.0, 1), side(1000.0, 2, ("jax-cpu",)))


def test_another_machine_is_allowed_for() -> None:
    """Hosts of a type differ: what is broken on one machine may not be said of two."""
    (here,) = checks(side(1000.0, 1), side(950.0, 2), "tokens_per_second:3%")
    (there,) = checks(side(1000.0, 1), side(950.0, 2, host_id="9" * 32), "tokens_per_second:3%")
    assert (here.outcome, there.outcome) == ("broken", "undecided")


def test_a_price_that_is_missing_breaks_nothing() -> None:
    (check,) = checks(side(1000.0, 1), side(500.0, 2, host_id="9" * 32), "usd_per_mtok:5%")
    assert check.outcome == "undecided"
    assert "no matched price" in check.sentence


def test_every_format_says_it() -> None:
    found = sections(side(1000.0, 1), side(900.0, 2))
    said = [f"BROKEN: {check.sentence}" for section in found for check in section.checks]
    assert len(said) == 2
    print_sections(found, Console(file=(text := io.StringIO()), width=100))
    assert all(line in text.getvalue() for line in said)
    assert "\x1b" not in text.getvalue()
    assert all(line in markdown(found) for line in said)
    (section,) = json.loads(as_json(found))
    assert [check["outcome"] for check in section["thresholds"]] == ["broken", "broken"]
    assert section["thresholds"][0]["ratio"]["low"] > 1.05


def test_a_table_fits_and_its_verdict_is_coloured_on_a_terminal_only() -> None:
    found = sections(side(123456.7, 1, ("torch-neuron",)), side(90000.0, 2, ("torch-neuron",)))
    print_sections(found, Console(file=(text := io.StringIO()), width=100))
    table = text.getvalue().partition("WORSE")[0]
    assert max(map(len, table.splitlines())) <= 100
    print_sections(
        found, Console(file=(text := io.StringIO()), width=100, force_terminal=True, color_system="standard")
    )
    assert "\x1b[31mWORSE\x1b[0m" in text.getvalue()


@pytest.mark.parametrize("format_", ["table", "md", "json", "csv"])
def test_the_exit_code(format_: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number, (name, speed) in enumerate({"base": 1000.0, "same": 1001.0, "slow": 900.0}.items()):
        for record in side(speed, number):
            save(record, tmp_path / name)
    codes = {}
    for new in ("same", "slow"):
        sides = [str(tmp_path / "base"), str(tmp_path / new)]
        codes[new] = app(["compare", *sides, "--format", format_, "--fail-on", LIMITS[0]], standalone_mode=False)
        said = capfd.readouterr()
        assert ("broken" if new == "slow" else "held") in (said.out + said.err).lower()
    assert codes == {"same": 0, "slow": 1}
