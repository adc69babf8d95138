"""What the reader sees: prices and what to say for them, every format, and names that stay text."""

import json
import re

import pytest
from builders import make_record
from made_up_cases import TODAY, case, sections
from rich.console import Console

from results.costs import WHAT_TO_PASS, PriceChoice, rent
from results.errors import PriceError
from results.frame import run_frame
from results.gates import GATES
from results.prices import PriceObservation
from results.record import Instance, RunRecord
from results.render import as_json, markdown, print_sections, rows, shown_model
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
    assert by_basis.keys() == {"capacity-block", "spot"}, "trn2 has no on-demand price, and nothing stands in for it"
    assert "(spot, quote against quote; " in by_basis["spot"].sentence
    assert "(capacity-block; " in by_basis["capacity-block"].sentence
    ratio = by_basis["capacity-block"].cost_ratio
    assert ratio is not None
    assert ratio.estimate == pytest.approx(35.7608 / 63.158, rel=1e-3)
    assert "no on-demand price of trn2.48xlarge" in markdown([section])


def rented(name: str, **told: object) -> dict[str, object]:
    return {"provider": "aws", "name": name, "source": "DMI", **told}


def price_of(model: str, *cases: list[RunRecord], choice: PriceChoice = TODAY) -> PriceObservation:
    (section,) = sections(*cases, choice=choice)
    return section.cases[0].costs[model].price


def test_the_machines_own_region_counts_unless_the_reader_names_one() -> None:
    here = case("torch-cpu", 1000.0, environment__instance=rented("p5en.48xlarge", region="us-west-1"))
    nowhere = case("torch-cpu", 1000.0, environment__instance=rented("p5en.48xlarge"))
    assert price_of("on-demand", here).region == "us-west-1"
    assert price_of("on-demand", nowhere).region != "us-west-1"
    asked = PriceChoice(as_of=TODAY.as_of, region="eu-north-1")
    assert price_of("on-demand", here, choice=asked).region == "eu-north-1"


def test_a_region_without_a_price_is_no_mistake() -> None:
    here = case("torch-cpu", 1000.0, environment__instance=rented("c8i.2xlarge", region="mx-central-1"))
    assert price_of("on-demand", here).region == "us-east-1"


def test_runs_that_disagree_on_region_and_purchase_have_none() -> None:
    one = rented("p5en.48xlarge", region="us-west-1", purchase_model="spot")
    other = rented("p5en.48xlarge", region="us-east-2", purchase_model="on-demand")
    silent = rented("p5en.48xlarge")
    for others, bought_as in ((other, None), (silent, "spot")):
        runs = case("a", 1000.0, 2, environment__instance=one) + case("a", 1000.0, environment__instance=others)[2:]
        (section,) = sections(runs)
        (priced,) = section.cases
        assert priced.bought_as == bought_as, "a server that was silent once contradicts nobody"
        assert (priced.costs["on-demand"].price.region == "us-west-1") == (bought_as == "spot")


@pytest.mark.parametrize(
    ("bought_as", "first"),
    [("capacity-block", "capacity-block"), ("on-demand", "on-demand"), ("spot", "spot"), (None, "on-demand")],
)
def test_the_model_under_which_it_was_bought_comes_first(bought_as: str | None, first: str) -> None:
    machine = rented("p5en.48xlarge", purchase_model=bought_as)
    (section,) = sections(case("torch-cpu", 1000.0, environment__instance=machine))
    told = markdown([section])
    assert next(iter(section.cases[0].costs)) == first
    assert shown_model(section) == first
    assert section.cases[0].costs.keys() == {"on-demand", "capacity-block", "spot"}, "no other is hidden"
    assert told.count(f"p5en.48xlarge was bought as: {bought_as}") == (bought_as is not None)


@pytest.mark.parametrize("bought_as", ["user", "savings", "\x1b[2J"])
def test_a_model_that_nobody_knows_prices_nothing(bought_as: str) -> None:
    machine = rented("p5en.48xlarge", purchase_model=bought_as)
    (section,) = sections(case("torch-cpu", 1000.0, environment__instance=machine))
    assert [*section.cases[0].costs] == ["on-demand", "capacity-block", "spot"]
    assert "\x1b" not in markdown([section])


def test_the_ratio_shown_is_of_the_model_shown() -> None:
    gpus = case("a", 1000.0, environment__instance=rented("p5en.48xlarge", purchase_model="capacity-block"))
    older = case("b", 1000.0, host_id="9" * 32, environment__instance=rented("p5.48xlarge"))
    (section,) = sections(gpus, older)
    by_basis = {comparison.basis: comparison.cost_ratio for comparison in section.comparisons}
    assert by_basis.keys() == {"on-demand", "capacity-block"}
    shown = by_basis["capacity-block"]
    assert shown is not None
    assert shown_model(section) == "capacity-block"
    assert rows(section)[1][-1].startswith(f"{shown.estimate:.3f} ")
    assert by_basis["on-demand"] != shown


def test_what_is_rented_now_costs_as_it_was_bought_and_where() -> None:
    def model(**told: str) -> str:
        return rent(Instance(**rented("p5en.48xlarge", **told)), TODAY)[1]

    assert model() == "on-demand"
    assert model(purchase_model="spot") == "spot"
    assert model(purchase_model="capacity-block") == "capacity-block"
    here, nowhere = Instance(**rented("p5en.48xlarge", region="us-west-1")), Instance(**rented("p5en.48xlarge"))
    assert rent(here, TODAY) == (79.12, "on-demand") != rent(nowhere, TODAY)


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
