"""The price book: dated, sourced observations of what renting an instance costs.

A price is an observation: who asks it, where, under which purchase model, on which day, and who says so.
Source of each row: its ``source`` cell in ``data/prices.csv``.

A price is looked up by the instance's name alone, so a name belongs to one provider. A name that others have too, or
that is nobody's own, is written with its provider: ``lambda/1x-H100-SXM-80GB``.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from results.names import closest, did_you_mean
from results.purchase_models import PURCHASE_MODELS, SHORT_LIST, PurchaseModel
from results.tables import DATA_DIRECTORY, Row, read_rows

__all__ = [
    "COLUMNS",
    "EVERY_REGION",
    "KINDS",
    "PURCHASE_MODELS",
    "Kind",
    "PriceBook",
    "PriceObservation",
    "PurchaseModel",
    "known_instances",
    "load_price_book",
    "load_price_files",
    "purchase_model",
]

Kind = Literal["list", "quote", "paid"]

KINDS: tuple[Kind, ...] = get_args(Kind)
COLUMNS = (
    "provider",
    "instance",
    "region",
    "purchase_model",
    "kind",
    "usd_per_hour",
    "as_of",
    "source",
    "note",
)

EVERY_REGION = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceObservation:
    """What one instance-hour cost, as seen by one source on one day.

    Attributes:
        provider: who rents it out.
        instance: the provider's name of the machine.
        region: the provider's name of the region or zone; ``*`` for all; empty if the source does not say.
        purchase_model: how it is bought; ``user`` for a price given on the command line.
        kind: ``list`` (published), ``quote`` (offered) or ``paid``.
        usd_per_hour: US dollars per hour of the whole instance; None: looked for, not found, see note.
        as_of: the day of the observation.
        source: where a reader finds it.
        note: what else a reader must know; why there is no price, where there is none.
    """

    provider: str
    instance: str
    region: str
    purchase_model: PurchaseModel
    kind: Kind
    usd_per_hour: float | None
    as_of: date
    source: str
    note: str = ""


PriceBook = Sequence[PriceObservation]


def load_price_book(path: Path | None = None) -> tuple[PriceObservation, ...]:
    """Read a price book; without a path, the shipped one, once in a process.

    Raises:
        PriceError: as `load_price_files`.
    """
    return _shipped() if path is None else load_price_files([path])


@cache
def _shipped() -> tuple[PriceObservation, ...]:
    return load_price_files([DATA_DIRECTORY / "prices.csv"])


def load_price_files(paths: Iterable[Path], known: Collection[str] | None = None) -> tuple[PriceObservation, ...]:
    """Read several files of prices as one book.

    Args:
        paths: the files.
        known: names that an instance may have, if it is not one's own machine; None: any.

    Raises:
        PriceError: a row does not fit, names no known instance, repeats another's place, model, kind and day, or gives
            the name of one provider's instance to another; names file and line.
    """
    book: dict[tuple[object, ...], PriceObservation] = {}
    owners: dict[str, str] = {}
    for row in (row for path in paths for row in read_rows(path, COLUMNS)):
        price = _observation(row)
        if known is not None and price.purchase_model != "owned" and price.instance not in known:
            raise row.error(f"unknown instance {price.instance!r}", did_you_mean(price.instance, known))
        key = (price.provider, price.instance, price.region, price.purchase_model, price.kind, price.as_of)
        if key in book:
            raise row.error("a second price for the same place, model, kind and day", "keep the better sourced one")
        if (owner := owners.setdefault(price.instance, price.provider)) != price.provider:
            hint = f"write a name that two providers have as {price.provider}/{price.instance}"
            raise row.error(f"{price.instance} is an instance of {owner} in an earlier row", hint)
        book[key] = price
    return tuple(book.values())


def _observation(row: Row) -> PriceObservation:
    observation = PriceObservation(
        provider=row.required("provider"),
        instance=row.required("instance"),
        region=row.text("region"),
        purchase_model=purchase_model(row),
        kind=row.one_of("kind", KINDS),
        usd_per_hour=row.positive("usd_per_hour"),
        as_of=row.day("as_of"),
        source=row.required("source"),
        note=row.text("note"),
    )
    if observation.usd_per_hour is None and not observation.note:
        raise row.error("usd_per_hour is empty and note does not say why", "say in note why there is no price")
    return observation


def purchase_model(row: Row) -> PurchaseModel:
    """The row's purchase model.

    Raises:
        PriceError: it does not exist, or is ``user``.
    """
    model = row.text("purchase_model")
    if model == "user":
        raise row.error("purchase_model is 'user'", "user prices are given on the command line, not in a book")
    if model not in PURCHASE_MODELS:
        meant = closest(model, PURCHASE_MODELS)
        hint = f"did you mean {meant}? " if meant else ""
        raise row.error(f"purchase_model is {model!r}", f"{hint}It is {SHORT_LIST}")
    return model


def known_instances(book: PriceBook) -> tuple[str, ...]:
    """The instances that the book speaks of, priced or not, sorted."""
    return tuple(sorted({price.instance for price in book}))
