"""Run length, bills and scenarios: start-up is paid for, losses are, and everything says what it is."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_cases import case, sections

from bench.money_commands import app
from results.budget_scenario import affordable_disadvantage, load_scenario, outcomes, scenario_names
from results.costs import PriceChoice
from results.errors import PriceError
from results.money_text import bill_lines, scenario_lines
from results.price_book import PriceObservation
from results.prices import load_price_book, usd_per_million_tokens
from results.quantities import duration, parse_quantity, short
from results.render import markdown
from results.run_length import Running
from results.stats import Interval
from results.training_bill import tokens_for, training_bill

DAY = date(2026, 11, 22)
PRICE = PriceObservation(
    provider="aws",
    instance="x",
    region="r",
    purchase_model="on-demand",
    kind="list",
    usd_per_hour=36.0,
    as_of=DAY,
    source="test",
)
positive = st.floats(1e-2, 1e6)


@given(speed=positive, start_up=st.floats(0, 1e5), goodput=st.floats(0.01, 1), tokens=st.floats(1, 1e15))
def test_time_and_tokens_are_inverse(speed: float, start_up: float, goodput: float, tokens: float) -> None:
    running = Running(tokens_per_second=speed, start_up_seconds=start_up, goodput=goodput)
    assert running.tokens_in(running.seconds_for(tokens)) == pytest.approx(tokens, rel=1e-3)


@given(speed=positive, start_up=st.floats(1, 1e5), price=positive)
def test_start_up_below_one_per_cent_costs_at_most_that_much_more(speed: float, start_up: float, price: float) -> None:
    running = Running(tokens_per_second=speed, start_up_seconds=start_up)
    long = running.usd_per_million_tokens(price, running.seconds_until_start_up_is(0.01))
    assert long == pytest.approx(usd_per_million_tokens(price, speed) / 0.99)
    assert running.usd_per_million_tokens(price, start_up / 2) is None


@given(speed=positive, price=positive, factor=st.floats(1.1, 100))
def test_cost_is_linear_in_price_and_inverse_in_throughput(speed: float, price: float, factor: float) -> None:
    once = usd_per_million_tokens(price, speed)
    assert usd_per_million_tokens(price * factor, speed) == pytest.approx(once * factor)
    assert usd_per_million_tokens(price, speed * factor) == pytest.approx(once / factor)


@pytest.mark.parametrize("change", [{"goodput": 0.0}, {"goodput": 1.1}, {"goodput": float("nan")}])
def test_a_goodput_that_is_no_share_is_refused(change: dict) -> None:
    with pytest.raises(PriceError, match="goodput is"):
        Running(tokens_per_second=1.0, **change)


def speed(estimate: float) -> Interval:
    return Interval(estimate=estimate, low=estimate * 0.9, high=estimate * 1.1, runs=5, method="t on runs")


def test_a_bill_is_days_times_price() -> None:
    """A million tokens a second for a day at 36 USD/h on ten machines."""
    running = Running(tokens_per_second=1.0, start_up_seconds=864.0, goodput=0.5)
    bill = training_bill(86400e6, speed(0.2e6), running, PRICE, count=10)
    assert bill.days.estimate == pytest.approx(1.01)
    assert bill.usd.estimate == pytest.approx(1.01 * 24 * 36 * 10)
    assert bill.usd_per_million_tokens.estimate == pytest.approx(bill.usd.estimate / 86400)
    assert bill.days.low == pytest.approx(0.01 + 1 / 1.1)
    assert bill.days.high == pytest.approx(0.01 + 1 / 0.9)


@pytest.mark.parametrize(("tokens", "count"), [(0.0, 1), (-1.0, 1), (float("inf"), 1), (1e9, 0)])
def test_an_impossible_bill_is_refused(tokens: float, count: int) -> None:
    with pytest.raises(PriceError):
        training_bill(tokens, speed(1.0), Running(tokens_per_second=1.0), PRICE, count)


@given(budget=st.floats(1, 1e12), rate=positive, price=positive, goodput=st.floats(0.1, 1))
def test_a_budget_buys_what_it_costs(budget: float, rate: float, price: float, goodput: float) -> None:
    tokens = tokens_for(budget, rate, price, goodput)
    assert tokens / 1e6 * usd_per_million_tokens(price, rate * goodput) == pytest.approx(budget)


@pytest.mark.parametrize(
    ("text", "value"),
    [("15T", 15e12), ("2.5b", 2.5e9), ("3e12", 3e12), ("1_000", 1e3), ("10,000K", 1e7), (" 7M ", 7e6)],
)
def test_quantities_are_read_as_people_write_them(text: str, value: float) -> None:
    assert parse_quantity(text, "it") == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "0", "-1T", "15X", "T", "1e", "nan", "inf", "1..2", "1e999", "0x10", "15 TT"])
def test_other_quantities_are_refused(text: str) -> None:
    with pytest.raises(PriceError, match="is no positive number"):
        parse_quantity(text, "it")


@given(value=st.floats(1, 1e18))
def test_what_is_written_reads_back(value: float) -> None:
    assert parse_quantity(short(value), "it") == pytest.approx(value, rel=6e-4)


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "5 s"), (120, "2 min"), (7200, "2.0 h"), (86400 * 1.5, "36.0 h"), (86400 * 12, "12 days")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_the_shipped_scenario_answers_the_question() -> None:
    assert scenario_names() == ("openai-on-aws",)
    scenario = load_scenario("openai-on-aws")
    found = outcomes(scenario, load_price_book(), DAY)
    block, on_demand = found
    assert [round(one.tokens / 1e15, 1) for one in block.bought] == [18.4, 20.1]
    assert block.cost_ratio == pytest.approx(0.912, abs=1e-3)
    assert "no on-demand price of trn2.48xlarge" in on_demand.missing
    page = "\n".join(scenario_lines(scenario, found))
    assert "NOT MATCHED RUNS" in page
    assert "worth 380M USD" in page
    assert "outweigh up to 26.3% more per token on Trainium2" in page
    assert all(one.what in page and one.source in page for one in scenario.assumptions)
    assert "verdict" not in page.replace("no verdict", "")


def test_prices_of_another_day_turn_the_scenario() -> None:
    (block, _) = outcomes(load_scenario("openai-on-aws"), load_price_book(), date(2026, 3, 1))
    assert block.cost_ratio == pytest.approx(1.38, abs=5e-3)


def test_an_investment_is_a_share_of_the_budget() -> None:
    assert affordable_disadvantage(38e9, 10e9) == pytest.approx(0.263, abs=1e-3)


SCENARIO = """
question = "q"
budget_usd = 1e6
goodput = 1.0
purchase_models = ["capacity-block"]
assumptions = []
[[sides]]
name = "a"
anchor = "axlearn-70b-h100"
[[sides]]
name = "b"
anchor = "axlearn-70b-trn2"
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("budget_usd = 1e6", "budget_usd = 0"), "budget_usd: input should be greater than 0"),
        (("goodput = 1.0", "goodput = 2.0"), "goodput: input should be less than or equal to 1"),
        (('question = "q"', "colour = 1"), "question: field required"),
        (("axlearn-70b-h100", "axlearn-70b-h10"), "no anchor 'axlearn-70b-h10'"),
        (("axlearn-70b-h100", "third-party-1b-gh200"), "has no instance to price"),
        (('"capacity-block"', '"rent"'), "unknown purchase model 'rent'"),
        (("[[sides]]", "[[sides"), "not a scenario"),
    ],
)
def test_a_scenario_that_cannot_be_is_one_line(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SCENARIO.replace(*change, 1))
    with pytest.raises(PriceError, match=said):
        outcomes(load_scenario(str(path)), load_price_book(), DAY)


def test_a_scenario_that_is_not_there_has_a_hint() -> None:
    with pytest.raises(PriceError, match="no scenario 'openai-on-azure'") as raised:
        load_scenario("openai-on-azure")
    assert "openai-on-aws" in raised.value.hint


def test_a_bill_without_a_price_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    app(["cost", "--tokens", "1T", "--tokens-per-second", "5e4", "--instance", "trn2.48xlarge"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "on-demand: no cost: no on-demand price of trn2.48xlarge" in said
    assert "231.5 days" in said
    assert "not in these costs: storage" in said
    assert max(map(len, said.splitlines())) <= 100
    bill = training_bill(1e12, speed(5e4), Running(tokens_per_second=1.0), PRICE)
    assert "days, " in next(bill_lines("on-demand", bill))


def test_anchors_are_bannered(capsys: pytest.CaptureFixture[str]) -> None:
    app(["anchors", "--as-of", "2026-03-01"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "NOT MATCHED RUNS" in said
    assert "ratio 1.29" in said
    assert "an hour of one H100-SXM at the price of 8.49 hours of one Trainium1" in said
    assert "BETTER" not in said


def priced(goodput: float = 1.0, **replace: object) -> str:
    """A made-up run on one of the eight H100 of a p5.48xlarge."""
    instance = {"name": "p5.48xlarge", "provider": "aws", "source": "test"}
    session = {"device_type": "cuda", "device_name": "NVIDIA H100 80GB HBM3", "fallback": None}
    session |= {"operand_fraction_bits": 23, "accumulation_exact": True}
    records = case(
        "torch-cuda",
        1000.0,
        noise=[0.0],
        environment__instance=instance,
        case__device_type="cuda",
        measurement__session=session,
        **replace,
    )
    return markdown(sections(records, choice=PriceChoice(as_of=DAY, goodput=goodput)))


def test_a_report_pays_for_start_up_and_says_what_is_left_out() -> None:
    """Two seconds to open and one for the first step are 0.083 % of an hour."""
    page = priced()
    assert "start-up of 3.0 s paid for: 15.3 over an hour, 15.29 over a day" in page
    assert "below 1% from 5 min on" in page
    assert "not in these costs: storage, network" in page


def test_a_chip_that_is_used_alone_pays_for_all_and_the_share_is_labelled() -> None:
    page = priced()
    assert "used 1 of 8 H100-SXM of p5.48xlarge; the cost charges all" in page
    assert "15.2889" in page
    assert "pro rata by chip 1.9111, if others pay for the rest" in page
    assert "pro rata" not in priced(case__world_size=8)


def test_goodput_is_the_readers_and_both_sides_pay_it() -> None:
    page = priced(goodput=0.8)
    assert "19.1111" in page
    assert "idle and repeated time: 20% of what is rented, as given" in page
