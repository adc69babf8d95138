"""Prices that are kept apart: no dated observations, and so never what a cost is reckoned with.

An undated price may be of any day of a span; a derived one was worked out from another; two quotes of one day cannot
both hold. They are shown on request, each with the reason in its note. Their type is not a price's, on purpose.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from results.price_book import COLUMNS, KINDS, Kind, PurchaseModel, purchase_model
from results.tables import DATA_DIRECTORY, Row, read_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceApart:
    """A figure that is no dated observation. Attributes as of ``PriceObservation``; ``as_of`` may not be known."""

    provider: str
    instance: str
    region: str
    purchase_model: PurchaseModel
    kind: Kind
    usd_per_hour: float | None
    as_of: date | None
    source: str
    note: str
    """Why it is kept apart."""


def load_prices_apart(path: Path | None = None) -> tuple[PriceApart, ...]:
    """Read the rows kept apart; without a path, the shipped ones.

    Raises:
        PriceError: a row does not fit; names file and line.
    """
    return tuple(_apart(row) for row in read_rows(path or DATA_DIRECTORY / "prices-apart.csv", COLUMNS))


def _apart(row: Row) -> PriceApart:
    return PriceApart(
        provider=row.required("provider"),
        instance=row.required("instance"),
        region=row.text("region"),
        purchase_model=purchase_model(row),
        kind=row.one_of("kind", KINDS),
        usd_per_hour=row.positive("usd_per_hour"),
        as_of=row.day("as_of") if row.text("as_of") else None,
        source=row.required("source"),
        note=row.required("note"),
    )
