"""What a machine cost on each day: the steps of `prices_of`, which the report itself asks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from results.costs import PriceChoice, PricedCase, machine_of, prices_of
from results.own_prices import load_own_prices
from results.plain_text import shortened
from results.prices import EVERY_REGION, MAX_AGE_DAYS, PriceObservation, load_price_book

LONGEST_SOURCE = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceStep:
    """From a day on, until the next step, a price holds; or none does."""

    day: date
    usd_per_hour: float | None
    said: str
    """Kind, region, day and source of the price; or why there is none."""


def price_steps(case: PricedCase, choice: PriceChoice) -> dict[str, tuple[PriceStep, ...]]:
    """By purchase model, the steps up to the day of the choice, oldest first; only models that ever had a price.

    Empty for a machine that no table knows, and where the reader gave one price for all.
    """
    if case.instance is None or choice.usd_per_hour is not None:
        return {}
    machine, steps = machine_of(case.summary), dict[str, list[PriceStep]]()
    for day in _days(case.instance, choice):
        for model, price in prices_of(machine, replace(choice, as_of=day)).items():
            known = steps.setdefault(model, [])
            step = _step(day, price) if isinstance(price, PriceObservation) else _gap(day, price.reason)
            if not known or not _same(known[-1], step):
                known.append(step)
    return {
        model: tuple(known) for model, known in steps.items() if any(step.usd_per_hour is not None for step in known)
    }


def _days(instance: str, choice: PriceChoice) -> Iterator[date]:
    """Those on which another price may hold: one was observed, or one grew too old."""
    prices = (*load_own_prices(choice.files), *load_price_book())
    observed = {price.as_of for price in prices if price.instance == instance}
    expired = {day + timedelta(days=MAX_AGE_DAYS + 1) for day in observed}
    yield from sorted(day for day in observed | expired if day <= choice.as_of)


def _same(before: PriceStep, after: PriceStep) -> bool:
    """Whether nothing changed: the same observation holds, or still none does."""
    if before.usd_per_hour is None or after.usd_per_hour is None:
        return before.usd_per_hour is after.usd_per_hour
    return before.said == after.said


def _step(day: date, price: PriceObservation) -> PriceStep:
    where = {"": "region not stated", EVERY_REGION: "every region"}.get(price.region, price.region)
    said = f"{price.kind}, {where}, {price.as_of}; {shortened(price.source, LONGEST_SOURCE)}"
    return PriceStep(day=day, usd_per_hour=price.usd_per_hour, said=said)


def _gap(day: date, reason: str) -> PriceStep:
    return PriceStep(day=day, usd_per_hour=None, said=reason)
