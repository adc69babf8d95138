"""A reader's own prices: files of rows like the book's, which stand before it, and discounts. No record holds them."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

from results.errors import PriceError
from results.instances import load_instances
from results.price_book import PriceBook, PriceObservation, known_instances, load_price_book, load_price_files
from results.prices import MAX_AGE_DAYS, MissingPrice, price_as_of


def load_own_prices(files: Collection[Path]) -> tuple[PriceObservation, ...]:
    """The rows of a reader's files, as one book.

    Raises:
        PriceError: a row does not fit, contradicts another, or names an instance that no table knows and that is not
            ``owned``; names file and line.
    """
    if not files:
        return ()
    known = {instance.name for instance in load_instances()} | set(known_instances(load_price_book()))
    return load_price_files(files, known)


def price_held(
    own: PriceBook, book: PriceBook, instance: str, purchase_model: str, as_of: date, region: str | None = None
) -> PriceObservation | MissingPrice | None:
    """What `price_as_of` says of the reader's rows, if one is of the time, else of the book; None: neither knows it.

    A row is of the time if it is of the instance and the model, and at or before the day within the age limit.
    """
    of_the_time = [
        price
        for price in own
        if price.instance == instance
        and price.purchase_model == purchase_model
        and 0 <= (as_of - price.as_of).days <= MAX_AGE_DAYS
    ]
    if not of_the_time and not any(price.instance == instance for price in book):
        return None
    return price_as_of(of_the_time or book, instance, purchase_model, as_of, region)


def discounted(price: PriceObservation, share: float) -> PriceObservation:
    """A list price lowered by a share of it, as the reader's quote; its source says so and names the observation's.

    A quote and what was paid stay as they are: they are lower already, or not the reader's.
    """
    if price.kind != "list" or price.usd_per_hour is None:
        return price
    off = f"{100 * share:g} % off {price.usd_per_hour:g} USD/h (list), given by the user"
    usd_per_hour = price.usd_per_hour * (1 - share)
    return replace(price, usd_per_hour=usd_per_hour, kind="quote", source=f"{off}; {price.source}")


def parse_discounts(texts: Iterable[str]) -> dict[str, float]:
    """``p5en.48xlarge=30%`` as an instance and 0.3.

    Raises:
        PriceError: written otherwise, not between 0 and 100 %, or two of one instance.
    """
    discounts: dict[str, float] = {}
    for text in texts:
        found = re.fullmatch(r"([^=]+)=\s*(\d{1,9}(?:\.\d{1,9})?)\s*%", text.strip(), re.ASCII)
        if not found:
            raise PriceError(f"--discount {text!r} is none", "write it as p5en.48xlarge=30%")
        name, share = found[1].strip(), float(found[2]) / 100
        if not 0 < share < 1:
            raise PriceError(f"--discount {text!r} is beyond reason", "give more than 0 % and less than 100 %")
        if name in discounts:
            raise PriceError(f"two discounts for {name}", "give one: discounts are not added up")
        discounts[name] = share
    return discounts
