"""The formulas behind the page's controls agree with the report's own, and with each other."""

from dataclasses import replace

import pytest
from made_up_reports import CHOICE, sections_of, two_chips

from results.page.live import live_data
from results.page.price_history import price_steps
from results.stats import Interval
from results.what_if import Side, what_if

SPEED = Interval(estimate=1000.0, low=990.0, high=1010.0, runs=5, method="t on runs")
SLOWER = Interval(estimate=1.1, low=1.08, high=1.12, runs=5, method="Welch t on runs")
SIDE = Side(tokens_per_second=SPEED, start_up_seconds=60.0, goodput=1.0, usd_per_hour=36.0)


def test_without_an_end_it_is_the_reports_ratio_and_cost() -> None:
    (section,) = sections_of(two_chips())
    (comparison,) = section.comparisons
    baseline, case = (
        Side(
            tokens_per_second=one.summary.throughput or SPEED,
            start_up_seconds=100.0,
            goodput=1.0,
            usd_per_hour=one.usd_per_hour[comparison.basis],
        )
        for one in section.cases
    )
    slower = section.break_evens[0].price_ratio
    found = what_if(baseline, case, replace(slower, estimate=1 / slower.estimate), None, comparison.margin)
    assert found is not None
    assert comparison.cost_ratio is not None
    assert found.cost_ratio.estimate == pytest.approx(comparison.cost_ratio.estimate)
    expected = section.cases[1].costs[comparison.basis]
    assert found.case_usd_per_million_tokens.estimate == pytest.approx(expected.usd_per_million_tokens)
    assert found.case_usd_per_million_tokens.low == pytest.approx(expected.low)


@pytest.mark.parametrize("seconds", [None, 300.0, 86_400.0])
def test_at_the_break_even_price_it_ties(seconds: float | None) -> None:
    late = replace(SIDE, start_up_seconds=200.0)
    first = what_if(SIDE, late, SLOWER, seconds, 0.02)
    assert first is not None
    tied = replace(late, usd_per_hour=36.0 * first.break_even_price_ratio.estimate)
    found = what_if(SIDE, tied, SLOWER, seconds, 0.02)
    assert found is not None
    assert found.cost_ratio.estimate == pytest.approx(1.0)
    assert found.verdict in {"equal", "undecided"}
    assert found.discounts_to_tie == pytest.approx((0.0, 0.0), abs=1e-12)


def test_the_discount_that_ties_ties() -> None:
    first = what_if(SIDE, SIDE, SLOWER, 3600.0, 0.02)
    assert first is not None
    found = what_if(SIDE, replace(SIDE, discount=first.discounts_to_tie[0]), SLOWER, 3600.0, 0.02)
    assert found is not None
    assert found.cost_ratio.estimate == pytest.approx(1.0)


def test_a_short_run_pays_more_for_a_late_start() -> None:
    late = replace(SIDE, start_up_seconds=500.0)
    ratios = [what_if(SIDE, late, SLOWER, seconds, 0.02) for seconds in (600.0, 3600.0, None)]
    estimates = [found.cost_ratio.estimate for found in ratios if found]
    assert estimates == sorted(estimates, reverse=True)
    assert len(estimates) == 3
    assert what_if(SIDE, late, SLOWER, 400.0, 0.02) is None, "it ends before its first step"


def test_the_last_price_of_the_history_is_the_reports() -> None:
    (section,) = sections_of(two_chips())
    for case in section.cases:
        steps = price_steps(case, CHOICE)
        for model, usd_per_hour in case.usd_per_hour.items():
            assert steps[model][-1].usd_per_hour == usd_per_hour
        assert all(steps[model][-1].usd_per_hour is None for model in steps.keys() - case.usd_per_hour.keys())


def test_only_cases_that_may_be_compared_are_paired() -> None:
    from made_up_reports import every_state

    (section,) = sections_of(every_state())
    data = live_data(section, [{} for _ in section.cases], CHOICE, 0.02)
    assert [(pair["baseline"], pair["case"]) for pair in data["pairs"]] == [(0, 1)]
