"""The price book: dated, sourced observations of what renting an instance costs.

A price is an observation: who asks it, where, under which purchase model, on which day, and who says so.
Source of each row: its ``source`` cell in ``data/prices.csv``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, get_args

from results.tables import DATA_DIRECTORY, Row, read_rows

PurchaseModel = Literal["on-demand", "capacity-block", "spot", "savings-plan-1yr", "savings-plan-3yr", "user"]
Kind = Literal["list", "quote", "paid"]

PURCHASE_MODELS: tuple[PurchaseModel, ...] = get_args(PurchaseModel)
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
    """Read a price book; without a path, the shipped one.

    Raises:
        PriceError: a row does not fit, or repeats another's place, model, kind and day; names file and line.
    """
    path = path or DATA_DIRECTORY / "prices.csv"
    book: dict[tuple[object, ...], PriceObservation] = {}
    for row in read_rows(path, COLUMNS):
        price = _observation(row)
        key = (price.provider, price.instance, price.region, price.purchase_model, price.kind, price.as_of)
        if key in book:
            raise row.error("a second price for the same place, model, kind and day", "keep the better sourced one")
        book[key] = price
    return tuple(book.values())


def _observation(row: Row) -> PriceObservation:
    purchase_model = row.one_of("purchase_model", PURCHASE_MODELS)
    if purchase_model == "user":
        raise row.error("purchase_model is 'user'", "user prices are given on the command line, not in a book")
    observation = PriceObservation(
        provider=row.required("provider"),
        instance=row.required("instance"),
        region=row.text("region"),
        purchase_model=purchase_model,
        kind=row.one_of("kind", KINDS),
        usd_per_hour=row.positive("usd_per_hour"),
        as_of=row.day("as_of"),
        source=row.required("source"),
        note=row.text("note"),
    )
    if observation.usd_per_hour is None and not observation.note:
        raise row.error("usd_per_hour is empty and note does not say why", "say in note why there is no price")
    return observation


def known_instances(book: PriceBook) -> tuple[str, ...]:
    """The instances that the book speaks of, priced or not, sorted."""
    return tuple(sorted({price.instance for price in book}))
