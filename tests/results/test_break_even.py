"""At which price two machines tie, what discount that takes, and on which days the verdict flipped."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_cases import case

from results.break_even import discount_to_tie, flips, inverse, verdict_history
from results.compare import judge
from results.costs import PriceChoice
from results.price_book import PriceObservation
from results.prices import usd_per_million_tokens
from results.render import as_json, markdown
from results.report import make_sections
from results.stats import Interval

DAY = date(2026, 11, 22)
TODAY = PriceChoice(as_of=DAY)
A, B = ("a", None), ("b", None)
positive = st.floats(1e-3, 1e6)
TRN, P5 = {"name": "trn1.32xlarge"}, {"name": "p5.48xlarge"}


def ratio(estimate: float, half: float = 1.05) -> Interval:
    return Interval(estimate=estimate, low=estimate / half, high=estimate * half, runs=5, method="Welch t on runs")


@given(ours=positive, theirs=positive, price=positive)
def test_break_even_is_a_fixed_point(ours: float, theirs: float, price: float) -> None:
    """At the break-even price ratio both sides' tokens cost the same, and the ratio there is 1."""
    slower = ratio(ours / theirs)
    tie = inverse(slower).estimate
    assert usd_per_million_tokens(price * tie, theirs) == pytest.approx(usd_per_million_tokens(price, ours), rel=1e-9)
    assert slower.times(tie).estimate == pytest.approx(1, rel=1e-12)


@given(estimate=positive)
def test_the_inverse_of_the_inverse_is_the_interval(estimate: float) -> None:
    there = ratio(estimate)
    back = inverse(inverse(there))
    assert (back.estimate, back.low, back.high) == pytest.approx((there.estimate, there.low, there.high))
    assert inverse(there).low == pytest.approx(1 / (estimate * 1.05))


@given(cost_ratio=st.floats(0.01, 100))
def test_the_discount_ties(cost_ratio: float) -> None:
    own, others = discount_to_tie(cost_ratio)
    assert min(own, others) == 0
    assert cost_ratio * (1 - own) == pytest.approx(1 - others)


def observed(instance: str, day: str, usd: float | None, model: str = "capacity-block") -> PriceObservation:
    return PriceObservation(
        provider="aws",
        instance=instance,
        region="*",
        purchase_model=model,  # type: ignore[arg-type]
        kind="list",
        usd_per_hour=usd,
        as_of=date.fromisoformat(day),
        source="test",
        note="" if usd else "none",
    )


HISTORY = [
    observed("a", "2026-01-01", 10.0),
    observed("b", "2026-01-10", 10.0),
    observed("b", "2026-03-01", 11.0),
    observed("b", "2026-05-01", 30.0),
    observed("a", "2026-06-01", 30.0),
    observed("b", "2026-12-01", 1.0),
    observed("b", "2026-02-01", 1.0, "spot"),
]


def test_the_verdict_flips_where_prices_cross() -> None:
    """B makes 1.5 times the tokens: cheaper at equal prices, dearer at three times, cheaper again."""
    days = verdict_history(ratio(1 / 1.5), A, B, "capacity-block", HISTORY, DAY, 0.02)
    assert [day.day.isoformat() for day in days] == ["2026-01-10", "2026-03-01", "2026-05-01", "2026-06-01"]
    assert [day.verdict for day in days] == ["better", "better", "worse", "better"]
    assert [day.day.isoformat() for day in flips(days)] == ["2026-01-10", "2026-05-01", "2026-06-01"]
    assert days[2].cost_ratio.estimate == pytest.approx(2.0)


def test_a_day_on_which_one_side_has_no_price_is_no_day() -> None:
    assert verdict_history(ratio(1.0), A, B, "spot", HISTORY, DAY, 0.02) == []
    old = [observed("a", "2020-01-01", 10.0), observed("b", "2026-01-01", 10.0)]
    assert verdict_history(ratio(1.0), A, B, "capacity-block", old, DAY, 0.02) == []


def compared(ours: float, theirs: float, as_of: str = "2026-11-22") -> str:
    """A trn1.32xlarge against a p5.48xlarge, in made-up throughput."""
    here = case("torch-cuda", ours, environment__instance=P5 | {"provider": "aws", "source": "test"})
    there = case(
        "torch-neuron",
        theirs,
        suite_id="8" * 32,
        host_id="9" * 32,
        environment__instance=TRN | {"provider": "aws", "source": "test"},
    )
    choice = PriceChoice(as_of=date.fromisoformat(as_of))
    made = make_sections({"": [*here, *there]}, choice)
    return markdown(made) + as_json(made)


def test_the_report_says_where_the_answer_flips() -> None:
    """A quarter of the throughput: dearer until blocks of the p5 rose in 2026; on demand the p5 fell in 2025."""
    page = compared(1000.0, 250.0)
    assert "break-even: a token costs the same where an hour of torch-neuron's machine costs 0.250" in page
    assert "capacity-block: to tie, torch-cuda would need a discount of" in page
    assert "on-demand: to tie, torch-neuron would need a discount of" in page
    assert "capacity-block, from 2024-12-01: WORSE, cost ratio 1.575" in page
    assert "capacity-block, from 2026-07-22: BETTER, cost ratio 0.918" in page
    assert "on-demand, from 2025-06-23: WORSE, cost ratio 1.56" in page
    assert '"flips": {' in page


def test_another_day_knows_no_later_price() -> None:
    page = compared(1000.0, 250.0, "2026-03-01")
    assert "from 2026-07-22" not in page
    assert "from 2024-12-01: WORSE" in page


def test_on_one_machine_the_price_cancels() -> None:
    records = [*case("torch-cpu", 1000.0), *case("jax-cpu", 900.0, case__backend="jax-cpu")]
    assert "break-even" not in markdown(make_sections({"": records}, TODAY))


@given(estimate=st.floats(0.1, 10), margin=st.floats(0.0, 0.2))
def test_a_verdict_is_antisymmetric(estimate: float, margin: float) -> None:
    """What is better one way round is worse the other way, up to the margin's own asymmetry."""
    there, back = judge(ratio(estimate), margin), judge(inverse(ratio(estimate)), margin)
    opposite = {"better": "worse", "worse": "better"}
    if abs(estimate - 1) > 0.3:
        assert back == opposite[there]
