"""The browser's formulas against Python's, on the same inputs, in a real browser."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from importlib import resources
from itertools import product
from typing import Any

import pytest
from made_up_reports import CHOICE, sections_of, two_chips

from results.costs import machine_of, prices_of
from results.page.live import live_data
from results.page.price_history import price_steps
from results.prices import PriceObservation
from results.stats import Interval
from results.what_if import Outcome, Side, what_if

FORMULAS = resources.files("results.page").joinpath("formulas.js").read_text(encoding="utf-8")
MARGINS = (0.0, 0.02, 0.3)


def interval(estimate: float, width: float | None) -> Interval:
    low, high = (None, None) if width is None else (estimate / width, estimate * width)
    return Interval(estimate=estimate, low=low, high=high, runs=5, method="t on runs")


def sides() -> list[Side]:
    grid = product((interval(1000.0, 1.01), interval(3.7e6, None)), (0.0, 700.0), (0.3, 98.32), (0.0, 0.37))
    return [
        Side(tokens_per_second=speed, start_up_seconds=start, goodput=0.9, usd_per_hour=usd, discount=discount)
        for speed, start, usd, discount in grid
    ]


def inputs() -> list[tuple[Side, Side, Interval, float | None, float]]:
    slower = [interval(0.98, 1.005), interval(1.0, 1.01), interval(1.9, 1.2), interval(1.02, None)]
    chosen = product(sides()[::3], sides()[::2], slower, (None, 600.0, 86_400.0), MARGINS)
    return list(chosen)


def as_js(value: Any) -> Any:
    if isinstance(value, Interval):
        return {"estimate": value.estimate, "low": value.low, "high": value.high}
    if isinstance(value, Side):
        return {
            "tokensPerSecond": as_js(value.tokens_per_second),
            "startUpSeconds": value.start_up_seconds,
            "goodput": value.goodput,
            "usdPerHour": value.usd_per_hour,
            "discount": value.discount,
        }
    return value


def numbers(outcome: Outcome | None) -> list[Any] | None:
    if outcome is None:
        return None
    parts = (
        outcome.baseline_usd_per_million_tokens,
        outcome.case_usd_per_million_tokens,
        outcome.cost_ratio,
        outcome.break_even_price_ratio,
    )
    return [*(end for one in parts for end in (one.estimate, one.low, one.high)), *outcome.discounts_to_tie]


def js_numbers(outcome: Mapping[str, Any] | None) -> list[Any] | None:
    if outcome is None:
        return None
    names = ("baselineUsdPerMillionTokens", "caseUsdPerMillionTokens", "costRatio", "breakEvenPriceRatio")
    parts = [outcome[name] for name in names]
    return [*(one[end] for one in parts for end in ("estimate", "low", "high")), *outcome["discountsToTie"]]


def same(one: list[Any] | None, other: list[Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(
        (a is None and b is None)
        or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9))
        for a, b in zip(one, other, strict=True)
    )


@pytest.fixture
def formulas(show: Callable[..., Any]) -> Any:
    return show(f"<!doctype html><title>formulas</title><script>{FORMULAS}</script>")


def test_cost_break_even_and_verdict(formulas: Any) -> None:
    asked = inputs()
    found = formulas.evaluate(
        "all => all.map((one) => whatIf(...one))", [[as_js(part) for part in one] for one in asked]
    )
    verdicts = set()
    for one, theirs in zip(asked, found, strict=True):
        ours = what_if(*one)
        assert same(numbers(ours), js_numbers(theirs)), one
        assert (ours and ours.verdict) == (theirs and theirs["verdict"]), one
        verdicts.add(ours.verdict if ours else None)
    assert verdicts == {"better", "worse", "equal", "undecided", "none", None}


def test_the_price_of_every_month(formulas: Any) -> None:
    """The page's steps say on any day what the price book says."""
    (section,) = sections_of(two_chips())
    days = [date(2023, 6, 1) + timedelta(days=17 * i) for i in range(74)]
    data = live_data(section, [price_steps(case, CHOICE) for case in section.cases], CHOICE, 0.02)
    for case, told in zip(section.cases, data["cases"], strict=True):
        for model, steps in told["prices"].items():
            found = formulas.evaluate("([steps, days]) => days.map((day) => priceOn(steps, day)?.usdPerHour ?? null)",
                                      [steps, [day.isoformat() for day in days]])  # fmt: skip
            for day, usd_per_hour in zip(days, found, strict=True):
                price = prices_of(machine_of(case.summary), replace(CHOICE, as_of=day)).get(model)
                expected = price.usd_per_hour if isinstance(price, PriceObservation) else None
                assert usd_per_hour == expected, (model, day)
