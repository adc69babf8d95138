"""What the reader sees: prices and what to say for them, every format, and names that stay text."""

import json
import re

import pytest
from builders import make_record
from made_up_cases import TODAY, case, sections
from rich.console import Console

from results.costs import WHAT_TO_PASS, PriceChoice
from results.errors import PriceError
from results.frame import run_frame
from results.gates import GATES
from results.render import as_json, markdown, print_sections
from results.report import make_sections
from results.summary import summarise


def test_a_detected_machine_keeps_its_price() -> None:
    rented = {"provider": "aws", "name": "p5.48xlarge", "source": "DMI"}
    choice = PriceChoice(as_of=TODAY.as_of, instance="c8i.2xlarge")
    (section,) = sections(case("torch-cpu", 1000.0, environment__instance=rented), choice=choice)
    assert section.cases[0].instance == "p5.48xlarge"


def test_one_price_is_not_for_several_machines() -> None:
    here, there = case("torch-cpu", 1000.0), case("torch-cpu", 1500.0, host_id="9" * 32, suite_id="8" * 32)
    for choice in (
        PriceChoice(as_of=TODAY.as_of, usd_per_hour=1.0),
        PriceChoice(as_of=TODAY.as_of, instance="c8i.2xlarge"),
    ):
        with pytest.raises(PriceError, match="several"):
            make_sections({"here": here, "there": there}, choice)


def test_a_detected_machine_of_no_table_costs_nothing_but_says_why() -> None:
    rented = {"provider": "aws", "name": "m5.large", "source": "DMI"}
    (section,) = sections(case("torch-cpu", 1000.0, environment__instance=rented))
    assert section.cases[0].costs == {}
    assert "m5.large" in markdown([section])


def test_an_unknown_region_is_a_mistake() -> None:
    choice = PriceChoice(as_of=TODAY.as_of, instance="c8i.2xlarge", region="us-eats-1")
    with pytest.raises(PriceError) as caught:
        sections(case("torch-cpu", 1000.0), choice=choice)
    assert "us-east-1" in caught.value.hint


def test_instances_of_the_records_set_their_prices() -> None:
    gpu = case("a", 1000.0, environment__instance={"provider": "aws", "name": "p5en.48xlarge", "source": "DMI"})
    chip = case(
        "b",
        1000.0,
        host_id="9" * 32,
        environment__instance={"provider": "aws", "name": "trn2.48xlarge", "source": "DMI"},
    )
    (section,) = sections(gpu, chip)
    by_basis = {comparison.basis: comparison for comparison in section.comparisons}
    assert by_basis.keys() == {"capacity-block"}, "trn2 has no on-demand price, and nothing stands in for it"
    ratio = by_basis["capacity-block"].cost_ratio
    assert ratio is not None
    assert ratio.estimate == pytest.approx(35.7608 / 63.158, rel=1e-3)
    assert "no on-demand price of trn2.48xlarge" in markdown([section])


def test_idle_rented_chips_are_said() -> None:
    rented = {"provider": "aws", "name": "p5.48xlarge", "source": "DMI"}
    (section,) = sections(case("torch-cpu", 1000.0, environment__instance=rented))
    assert "used 0 of 8 H100-SXM" in markdown([section])
    (section,) = sections(case("torch-cuda", 1000.0, environment__instance=rented, case__device_type="cuda"))
    assert "used 1 of 8 H100-SXM" in markdown([section])


def test_unknown_machine_says_what_to_pass_and_guesses_nothing() -> None:
    (section,) = sections(case("torch-cpu", 1000.0))
    assert section.cases[0].costs == {}
    assert WHAT_TO_PASS in markdown([section])


def test_ones_own_price() -> None:
    (section,) = sections(case("torch-cpu", 1000.0), choice=PriceChoice(as_of=TODAY.as_of, usd_per_hour=0.36))
    cost = section.cases[0].costs["user"]
    assert cost.usd_per_million_tokens == pytest.approx(0.1, rel=1e-6)
    assert cost.low is not None
    assert cost.high is not None
    assert cost.low < 0.1 < cost.high
    with pytest.raises(PriceError):
        sections(case("torch-cpu", 1000.0), choice=PriceChoice(as_of=TODAY.as_of, usd_per_hour=0.0))


def test_every_format_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    found = sections(case("torch-cpu", 1000.0), case("jax-cpu", 1100.0))
    print_sections(found, Console(width=100))
    table = capsys.readouterr().out
    assert all(len(line) <= 100 for line in table.splitlines() if "cpu " in line and ":" not in line)
    assert "BETTER: a token on jax-cpu costs" in table
    assert "BETTER: a token on jax-cpu costs" in markdown(found)
    data = json.loads(as_json(found))
    assert data[0]["comparisons"][0]["verdict"] == "better"
    assert data[0]["cases"][0]["tokens_per_second"]["estimate"] == pytest.approx(1000, rel=0.01)


def test_every_report_has_every_gate() -> None:
    slow = case("torch-cpu", 1000.0, 2, measurement__warmup_steady=False)
    found = sections([*slow, *case("torch-cpu", 1000.0, 5)[2:]])
    passed, steady = len(GATES) - 1, "steady fail in 2, pass in 3"
    assert f"torch-cpu: gates: {passed} of {len(GATES)} passed by every run; {steady}" in markdown(found)
    (told,) = json.loads(as_json(found))[0]["cases"]
    assert told["gates"].keys() == GATES.keys()
    assert told["gates"]["steady"] == {"fail": 2, "pass": 3}
    assert "gates:" not in markdown(sections(case("a", 1.0, measurement=None, status="failed", reason="x")))


def test_the_frame_has_a_row_a_run() -> None:
    frame = run_frame(case("torch-cpu", 1000.0))
    assert len(frame) == 5
    assert frame["tokens_per_second"].mean() == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize("name", ["<script>|x", "a[/b]", "x[red]y", ":smile:"])
def test_a_hostile_name_stays_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = sections(case(name, 1000.0, case__workload=name))
    assert "<script>" not in markdown(found)
    print_sections(found, Console(width=200))
    assert capsys.readouterr().out.count(name) >= 2


STEERING = "\x1b[31mred\x07 \u202edlrow\u2028next\r\nline"


def test_what_steers_a_terminal_is_shown_and_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    names = {"case__workload": STEERING, "case__recipe": {"name": STEERING}, "environment__instance__name": STEERING}
    failed = case(STEERING, 1000.0, runs=1, status="failed", reason=STEERING, **names)
    found = sections(case(STEERING, 1000.0, measurement__session__fallback=STEERING, **names), failed)
    print_sections(found, Console(width=80))
    csv = run_frame(failed).to_csv(index=False)
    for text in (capsys.readouterr().out, markdown(found), csv):
        assert all(char.isprintable() or char == "\n" for char in text)
        assert "\ufffd[31mred\ufffd" in text
    assert json.loads(as_json(found))[0]["workload"] == STEERING, "JSON keeps what the record says"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a|b", "a\\|b"),
        ("a\\|b", "a\\\\\\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("[x](http://example.org)", "[x\\](http://example.org)"),
        ("[x]: http://example.org", "[x\\]: http://example.org"),
        ("`*x*`", "\\`\\*x\\*\\`"),
    ],
)
def test_markdown_of_a_record_is_text_in_a_cell(name: str, shown: str) -> None:
    page = markdown(sections(case(name, 1000.0)))
    assert f"| {shown} | 5/5 |" in page


def test_an_interval_keeps_its_brackets() -> None:
    page = markdown(sections(case("torch-cpu", 1000.0), case("jax-cpu", 1100.0)))
    assert re.search(r"\| 0\.909 \[0\.\d+, 0\.\d+\] \|", page)


def test_a_chip_of_several_cores_is_told_from_its_cores() -> None:
    """Eight cores of two chips: the speed is the job's, and each share is named."""
    summary = summarise("trn2", [make_record(case__world_size=8, case__devices_per_chip=4, tokens_per_second=8000.0)])
    assert "note: tokens/s of 8 devices (2 chips) together; 4,000 a chip, 1,000 a device" in summary.problems
    assert not [line for line in summarise("cpu", [make_record()]).problems if "together" in line]
