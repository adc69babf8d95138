"""What the page's controls compute with: measured intervals, price histories and the pairs that may be compared."""

from collections.abc import Mapping, Sequence
from typing import Any

from results.compare import Section, equal_price_ratio, on_one_machine, why_not_comparable
from results.costs import PriceChoice, PricedCase
from results.page.price_history import PriceStep
from results.plain_text import plain
from results.render import shown_model
from results.stats import Interval

Histories = Sequence[Mapping[str, tuple[PriceStep, ...]]]


def pairs(section: Section) -> list[tuple[int, int]]:
    """Places of baseline and case of each comparison that can be made, in the order of the comparisons."""
    places = {case.summary.label: number for number, case in enumerate(section.cases)}
    named = dict.fromkeys((places[one.baseline], places[one.case]) for one in section.comparisons)
    return [
        (ours, theirs)
        for ours, theirs in named
        if why_not_comparable(section.cases[ours].summary, section.cases[theirs].summary) is None
    ]


def live_data(section: Section, histories: Histories, choice: PriceChoice, margin: float) -> dict[str, Any]:
    """As JSON; text is plain, numbers are finite or null."""
    model = shown_model(section)
    days = [steps[0].day for history in histories for steps in history.values()]
    return {
        "asOf": choice.as_of.isoformat(),
        "firstDay": min(days, default=choice.as_of).isoformat(),
        "margin": margin,
        "cases": [_case(case, history, model) for case, history in zip(section.cases, histories, strict=True)],
        "pairs": [_pair(section, ours, theirs) for ours, theirs in pairs(section)],
    }


def _case(case: PricedCase, history: Mapping[str, Sequence[PriceStep]], model: str | None) -> dict[str, Any]:
    speed = case.summary.throughput
    cost = case.costs.get(model or "")
    return {
        "label": plain(case.summary.label),
        "machine": plain(case.instance or "this machine"),
        "tokensPerSecond": None if speed is None else _interval(speed),
        "startUpSeconds": case.summary.cold_start_seconds or case.summary.warm_start_seconds or 0.0,
        "goodput": case.goodput,
        "model": plain(model) if cost and model else "user",
        "usdPerHour": cost.price.usd_per_hour if cost else None,
        "prices": {plain(name): [_step(step) for step in steps] for name, steps in history.items()},
    }


def _pair(section: Section, ours: int, theirs: int) -> dict[str, Any]:
    baseline, case = section.cases[ours].summary, section.cases[theirs].summary
    return {
        "baseline": ours,
        "case": theirs,
        "sameMachine": on_one_machine(baseline, case),
        "equalPriceRatio": _interval(equal_price_ratio(baseline, case)),
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _step(step: PriceStep) -> dict[str, Any]:
    return {"from": step.day.isoformat(), "usdPerHour": step.usd_per_hour, "said": plain(step.said)}
