"""Prices: which observation of the price book holds on a given day, and what a token then costs.

A price that is not known is a ``MissingPrice`` with its reason. It is never 0.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from results.errors import PriceError
from results.names import closest, did_you_mean
from results.price_book import (
    EVERY_REGION,
    PURCHASE_MODELS,
    Kind,
    PriceBook,
    PriceObservation,
    PurchaseModel,
    known_instances,
    load_price_book,
)
from results.tables import LARGEST_NUMBER, SMALLEST_NUMBER

__all__ = [
    "EVERY_REGION",
    "MAX_AGE_DAYS",
    "PURCHASE_MODELS",
    "Kind",
    "MissingPrice",
    "PriceBook",
    "PriceObservation",
    "PurchaseModel",
    "closest",
    "known_instances",
    "load_price_book",
    "nearest",
    "preference",
    "price_as_of",
    "usd_per_million_tokens",
    "user_price",
]

DEFAULT_REGION = "us-east-1"
MAX_AGE_DAYS = 400
"""An older observation says nothing about a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPrice:
    """No price holds for this instance, bought so, on this day, and why."""

    instance: str
    purchase_model: str
    as_of: date
    reason: str


def price_as_of(
    book: PriceBook,
    instance: str,
    purchase_model: str,
    as_of: date,
    region: str | None = None,
    max_age_days: int = MAX_AGE_DAYS,
) -> PriceObservation | MissingPrice:
    """The last observation at or before a day, from the nearest region that has one.

    Nearest: ``region`` if one is asked for, else ``us-east-1``, where an observation of every region (``*``)
    counts as one of either; else any region at all: the latest there, the cheapest among equals. There, a
    list price goes before what single buyers were quoted or paid. The answer carries its own region and day.

    Args:
        book: the observations.
        instance: the provider's name of the machine.
        purchase_model: one of ``PURCHASE_MODELS``.
        as_of: the day that the price must hold on.
        region: the provider's name of the region; None for no preference.
        max_age_days: an older observation says nothing about the day.

    Raises:
        PriceError: the book does not know the instance, or the purchase model does not exist.
    """
    of_instance = [price for price in book if price.instance == instance]
    if not of_instance:
        _require_known("instance", instance, known_instances(book), "; or give its price with --usd-per-hour")
    _require_known("purchase model", purchase_model, PURCHASE_MODELS)
    candidates = [price for price in of_instance if price.purchase_model == purchase_model]
    current = [price for price in candidates if 0 <= (as_of - price.as_of).days <= max_age_days]
    if not current:
        reason = _why_none(candidates, f"{purchase_model} price of {instance}", as_of, max_age_days)
    else:
        chosen = min(nearest(current, region), key=preference)
        if chosen.usd_per_hour is not None:
            return chosen
        reason = f"no {purchase_model} price of {instance}: {chosen.note}"
    reason += _there_is(of_instance, purchase_model, as_of)
    return MissingPrice(instance=instance, purchase_model=purchase_model, as_of=as_of, reason=reason)


def nearest(prices: PriceBook, region: str | None) -> PriceBook:
    """Those of the region, else of ``us-east-1``, else all; a price of every region is one of either."""
    for wanted in filter(None, (region, DEFAULT_REGION)):
        if covering := [price for price in prices if price.region in (wanted, EVERY_REGION)]:
            return covering
    return prices


def preference(price: PriceObservation) -> tuple[bool, int, bool, float, str]:
    """List prices first, then the latest, then a named region, then the cheapest, then the region's name."""
    named = price.region not in ("", EVERY_REGION)
    usd_per_hour = math.inf if price.usd_per_hour is None else price.usd_per_hour
    return price.kind != "list", -price.as_of.toordinal(), not named, usd_per_hour, price.region


def _why_none(candidates: PriceBook, what: str, as_of: date, max_age_days: int) -> str:
    """Why none of the candidates is at or before the day and young enough."""
    days = [price.as_of for price in candidates if price.usd_per_hour is not None]
    if past := [day for day in days if day <= as_of]:
        return f"the last {what} at or before {as_of} is of {max(past)}, more than {max_age_days} days earlier"
    return f"no {what} at or before {as_of}" + (f", the first is of {min(days)}" if days else "")


def _there_is(of_instance: PriceBook, purchase_model: str, as_of: date) -> str:
    """The other purchase models under which the instance has had a price by that day."""
    priced = {p.purchase_model for p in of_instance if p.usd_per_hour is not None and p.as_of <= as_of}
    others = sorted(priced - {purchase_model})
    return f"; there is {', '.join(others)}" if others else ""


def user_price(
    usd_per_hour: float, *, instance: str, as_of: date, kind: Kind = "quote", region: str = ""
) -> PriceObservation:
    """The price that a user gives for an instance, in US dollars per hour of the whole instance.

    Its purchase model is ``user``: it is compared with other user prices only.

    Raises:
        PriceError: not a positive, finite number, or beyond reason.
    """
    usd_per_hour = _positive("the price in USD per hour", usd_per_hour)
    if not SMALLEST_NUMBER <= usd_per_hour <= LARGEST_NUMBER:
        raise PriceError(f"the price in USD per hour is {usd_per_hour}", "give the price of the whole machine")
    return PriceObservation(
        provider="user",
        instance=instance,
        region=region,
        purchase_model="user",
        kind=kind,
        usd_per_hour=usd_per_hour,
        as_of=as_of,
        source="given by the user",
    )


def usd_per_million_tokens(usd_per_hour: float, tokens_per_second: float) -> float:
    """What a million tokens cost: ``usd_per_hour / 3600 / tokens_per_second * 1e6``, US dollars.

    Args:
        usd_per_hour: price of everything that is rented, US dollars per hour.
        tokens_per_second: throughput of everything that is rented, useful tokens per second.

    Raises:
        PriceError: either is not a positive, finite number.
    """
    usd_per_second = _positive("the price in USD per hour", usd_per_hour) / 3600
    return usd_per_second / _positive("the throughput in tokens per second", tokens_per_second) * 1e6


def _require_known(what: str, name: str, names: Collection[str], or_else: str = "") -> None:
    if name not in names:
        raise PriceError(f"unknown {what} {name!r}", did_you_mean(name, names) + or_else)


def _positive(what: str, value: float) -> float:
    if 0 < value < math.inf:
        return value
    raise PriceError(f"{what} is {value}", "give a positive, finite number")
