"""Why a price holds on a day, and why the others do not: the rule of ``results.prices.price_as_of``, told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from results.errors import PriceError
from results.names import did_you_mean
from results.own_prices import price_held
from results.prices import (
    DEFAULT_REGION,
    EVERY_REGION,
    MAX_AGE_DAYS,
    MissingPrice,
    PriceBook,
    PriceObservation,
    nearest,
    preference,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What holds on a day and what was passed over."""

    found: PriceObservation | MissingPrice
    held: PriceObservation | None
    """The row that decided; it may say that there is no price. None: no row is of the time."""
    is_own: bool
    """That row is the reader's own."""
    region_rule: str
    """Why that region; empty without a row."""
    passed_over: Mapping[str, tuple[PriceObservation, ...]]
    """Reason -> the other rows of the instance and the purchase model, the nearest day first."""


def explain(
    own: PriceBook, book: PriceBook, instance: str, purchase_model: str, as_of: date, region: str | None = None
) -> Explanation:
    """What `price_held` answers, and why.

    Raises:
        PriceError: nobody knows the instance, the purchase model or the region.
    """
    everything = (*own, *book)
    require_known("region", region, {price.region for price in everything} - {"", EVERY_REGION})
    require_known("instance", instance, {price.instance for price in everything})
    rows = [price for price in everything if (price.instance, price.purchase_model) == (instance, purchase_model)]
    current = [price for price in rows if 0 <= (as_of - price.as_of).days <= MAX_AGE_DAYS]
    first = [price for price in current if price in own] or current
    close = nearest(first, region)
    held = min(close, key=preference, default=None)
    passed_over: dict[str, list[PriceObservation]] = {}
    for price in sorted(rows, key=lambda price: abs((as_of - price.as_of).days)):
        if price is not held:
            passed_over.setdefault(_why_not(price, held, first, close, as_of), []).append(price)
    return Explanation(
        found=_found(own, book, instance, purchase_model, as_of, region),
        held=held,
        is_own=held in own,
        region_rule=_region_rule(held, region) if held else "",
        passed_over={why: tuple(prices) for why, prices in passed_over.items()},
    )


def require_known(what: str, name: str | None, names: set[str]) -> None:
    """Refuse a name that is not one of these.

    Raises:
        PriceError: it is none of them; the hint names the closest.
    """
    if name is not None and name not in names:
        raise PriceError(f"unknown {what} {name!r}", did_you_mean(name, names))


def _found(
    own: PriceBook, book: PriceBook, instance: str, purchase_model: str, as_of: date, region: str | None
) -> PriceObservation | MissingPrice:
    found = price_held(own, book, instance, purchase_model, as_of, region)
    reason = f"no row of {instance} is of {purchase_model} and of the time"
    return found or MissingPrice(instance=instance, purchase_model=purchase_model, as_of=as_of, reason=reason)


def _why_not(
    price: PriceObservation, held: PriceObservation | None, first: PriceBook, close: PriceBook, as_of: date
) -> str:
    age_days = (as_of - price.as_of).days
    if age_days < 0:
        return f"after {as_of}"
    if held is None or age_days > MAX_AGE_DAYS:
        return f"more than {MAX_AGE_DAYS} days before {as_of}"
    if price not in first:
        return "in the book, and your own file stands before it"
    if price not in close:
        return "in another region"
    if (price.kind == "list") != (held.kind == "list"):
        return "of single buyers, and a list price stands before them"
    if price.as_of < held.as_of:
        return "older"
    return "of the same day; a named region stands before *, then the cheapest"


def _region_rule(held: PriceObservation, region: str | None) -> str:
    if region is not None and held.region in (region, EVERY_REGION):
        return f"{region} was asked for" + (", and the price is of every region" if held.region != region else "")
    no_other = f"there is none in {region}" if region else "no region was asked for"
    if held.region == EVERY_REGION:
        return f"{no_other}: a row of every region stands for it"
    if held.region == DEFAULT_REGION:
        return f"{no_other}: {DEFAULT_REGION} stands for it"
    return f"{no_other}, and none in {DEFAULT_REGION}: the latest of any region, the cheapest among equals"
