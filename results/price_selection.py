"""Which rows of the price book a reader sees: of an instance, a provider, a region, a purchase model, up to a day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from results.errors import PriceError
from results.names import did_you_mean
from results.price_book import EVERY_REGION, PriceObservation
from results.prices_apart import PriceApart
from results.purchase_models import PURCHASE_MODELS

AnyPrice = TypeVar("AnyPrice", PriceObservation, PriceApart)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFilter:
    """What a row must be of; None: of any."""

    instance: str | None = None
    provider: str | None = None
    region: str | None = None
    purchase_model: str | None = None


def select(prices: Sequence[AnyPrice], wanted: PriceFilter) -> list[AnyPrice]:
    """The prices that fit, in order of instance, purchase model, region and day.

    A price of every region is one of each region that its provider is known to have.

    Raises:
        PriceError: a name that no row has, or names that no row has together; the hint says what there is.
    """
    left = list(prices)
    for column in ("instance", "provider", "purchase_model", "region"):
        name = getattr(wanted, column)
        if name is not None:
            left = _narrowed(prices, left, column, name)
    return sorted(left, key=_place)


def latest(prices: Iterable[PriceObservation], as_of: date) -> list[PriceObservation]:
    """Of each place, purchase model and kind the last at or before the day."""
    newest: dict[tuple[object, ...], PriceObservation] = {}
    for price in sorted(until(prices, as_of), key=_place):
        newest[price.provider, price.instance, price.region, price.purchase_model, price.kind] = price
    return list(newest.values())


def until(prices: Iterable[AnyPrice], as_of: date) -> list[AnyPrice]:
    """Those at or before the day, and whatever has no day."""
    return [price for price in prices if price.as_of is None or price.as_of <= as_of]


def cells(price: PriceObservation | PriceApart) -> tuple[str, ...]:
    """A price as a row, in the order of ``COLUMNS``; `load_price_book` reads an observation's back."""
    usd_per_hour = "" if price.usd_per_hour is None else repr(price.usd_per_hour)
    as_of = "" if price.as_of is None else price.as_of.isoformat()
    place = (price.provider, price.instance, price.region, price.purchase_model, price.kind)
    return (*place, usd_per_hour, as_of, price.source, price.note)


def _narrowed(everything: Sequence[AnyPrice], left: list[AnyPrice], column: str, name: str) -> list[AnyPrice]:
    word = column.replace("_", " ")
    known = set(PURCHASE_MODELS) if column == "purchase_model" else {getattr(price, column) for price in everything}
    if name not in known - {"", EVERY_REGION}:
        raise PriceError(f"unknown {word} {name!r}", did_you_mean(name, known - {"", EVERY_REGION}))
    covering = {price.provider for price in everything if price.region == name} if column == "region" else set()
    fitting = [
        price
        for price in left
        if getattr(price, column) == name or (price.region == EVERY_REGION and price.provider in covering)
    ]
    if fitting:
        return fitting
    instances = {price.instance for price in left}
    what = instances.pop() if len(instances) == 1 else "what else was asked for"
    there_is = sorted({getattr(price, column) or "not stated" for price in left})
    raise PriceError(f"no price of {what} for the {word} {name}", f"there is one for: {', '.join(there_is)}")


def _place(price: PriceObservation | PriceApart) -> tuple[str, int, str, date, str]:
    model = PURCHASE_MODELS.index(price.purchase_model)
    return price.instance, model, price.region, price.as_of or date.min, price.kind
