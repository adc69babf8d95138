"""`fairchip prices`: what the price book holds, which price holds on a day and why, and whether a file can be used.

Plain columns of text, at most 100 wide.
"""

import csv
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Literal

from bench.errors import UsageError
from results.own_prices import load_own_prices
from results.price_book import COLUMNS, PriceObservation, load_price_book
from results.price_explanation import Explanation, explain, require_known
from results.price_selection import PriceFilter, cells, latest, select, until
from results.prices_apart import PriceApart, load_prices_apart
from results.purchase_models import PURCHASE_MODELS

PriceFormat = Literal["text", "csv", "json"]
Prices = Sequence[PriceObservation | PriceApart]

WIDTH = 100
KIND_IN_WORDS = {"list": "list price of", "quote": "quote of", "paid": "price paid to"}
SHOWN_OF_A_REASON = 4
"""Rows that an explanation shows of those passed over for one reason."""


def print_prices(wanted: PriceFilter, files: Sequence[Path], as_of: date, format_: PriceFormat, history: bool) -> None:
    """Each place's last observation at or before the day, or every one, the reader's own files among them.

    Raises:
        PriceError: a filter that nothing fits, or an unusable file.
    """
    own = load_own_prices(files)
    fitting = select((*own, *load_price_book()), wanted)
    theirs = [price for price in fitting if price in own]
    others = [price for price in fitting if price not in own]
    shown = until(fitting, as_of) if history else select(latest(theirs, as_of) + latest(others, as_of), PriceFilter())
    if not shown:
        first = min(price.as_of for price in fitting)
        raise UsageError(f"nothing was observed at or before {as_of}", f"the first observation is of {first}")
    _print(shown, format_, own)


def print_apart(wanted: PriceFilter, as_of: date, format_: PriceFormat) -> None:
    """The rows that are kept apart, each with the reason.

    Raises:
        PriceError: a filter that nothing fits.
    """
    _print(until(select(load_prices_apart(), wanted), as_of), format_)


def print_explanations(wanted: PriceFilter, files: Sequence[Path], as_of: date) -> None:
    """Which observation holds on the day, why, and which were passed over; without a purchase model, of each.

    Raises:
        UsageError: no instance is named.
        PriceError: an unknown instance, region or purchase model, or an unusable file.
    """
    if wanted.instance is None:
        raise UsageError("--explain needs an instance", "such as: fairchip prices p5.48xlarge --explain")
    own, book = load_own_prices(files), load_price_book()
    require_known("purchase model", wanted.purchase_model, set(PURCHASE_MODELS))
    of_instance = select((*own, *book), replace(wanted, region=None, purchase_model=None))
    has = {price.purchase_model for price in of_instance}
    models = [model for model in PURCHASE_MODELS if model in has]
    for model in [wanted.purchase_model] if wanted.purchase_model else models:
        told = explain(own, book, wanted.instance, model, as_of, wanted.region)
        print("\n".join(_explained(told, f"{wanted.instance}, {model}, on {as_of}", as_of)))


def print_validity(path: Path) -> None:
    """That a file can be used, and what it holds.

    Raises:
        PriceError: it cannot; names the first line that does not fit.
    """
    prices = load_own_prices([path])
    missing = sum(price.usd_per_hour is None for price in prices)
    print(f"{path}: OK, {len(prices)} rows{f', {missing} of them reasons why there is no price' if missing else ''}")
    counts = Counter((price.provider, price.purchase_model, price.kind) for price in prices)
    print("\n".join(_aligned([(*place, str(count)) for place, count in sorted(counts.items())], right={3})))


def _print(prices: Prices, format_: PriceFormat, own: Sequence[PriceObservation] = ()) -> None:
    if format_ == "json":
        print(json.dumps([asdict(price) for price in prices], indent=1, default=str))
    elif format_ == "csv":
        csv.writer(sys.stdout, lineterminator="\n").writerows([COLUMNS, *map(cells, prices)])
    else:
        print("\n".join(_listed(prices, own)))


def _listed(prices: Prices, own: Sequence[PriceObservation]) -> Iterator[str]:
    """The rows below the names of their instances; below a row why it has no price, or why it is kept apart."""
    rows: list[Sequence[str]] = [("purchase model", "region", "USD/h", "kind", "as of", "")]
    rows += [(*_cells(price), "yours" if price in own else "") for price in prices]
    heading, *lines = _aligned(rows, right={2})
    yield heading
    instance = ""
    for price, line in zip(prices, lines, strict=True):
        if price.instance != instance:
            instance = price.instance
            yield f"{instance} ({price.provider})"
        yield line
        if price.usd_per_hour is None or isinstance(price, PriceApart):
            yield from _wrapped(price.note, 6)


def _cells(price: PriceObservation | PriceApart) -> tuple[str, ...]:
    usd_per_hour = "missing" if price.usd_per_hour is None else f"{price.usd_per_hour:.10g}"
    as_of = "undated" if price.as_of is None else str(price.as_of)
    return price.purchase_model, price.region or "not stated", usd_per_hour, price.kind, as_of


def _explained(told: Explanation, asked: str, as_of: date) -> Iterator[str]:
    if isinstance(told.found, PriceObservation):
        yield f"{asked}: {told.found.usd_per_hour:.10g} USD/h"
    else:
        yield f"{asked}: missing"
        yield from _wrapped(told.found.reason)
    if told.held is not None:
        yield from _holding(told, told.held, as_of)
    for why, prices in told.passed_over.items():
        some = "; ".join(f"{cell[2]} {cell[1]} {cell[4]}" for cell in map(_cells, prices[:SHOWN_OF_A_REASON]))
        more = len(prices) - SHOWN_OF_A_REASON
        yield from _wrapped(f"passed over, {why}: {some}{f'; and {more} more' if more > 0 else ''}")


def _holding(told: Explanation, held: PriceObservation, as_of: date) -> Iterator[str]:
    priced = held.usd_per_hour is not None
    what = KIND_IN_WORDS[held.kind] if priced else "no price of"
    where = f"{held.region or 'region not stated'}, {held.as_of}, {(as_of - held.as_of).days} days before"
    yield from _wrapped(f"holds: {what} {held.provider}, {where}{', in your own file' if told.is_own else ''}")
    yield from _wrapped(f"region: {told.region_rule}")
    yield from _wrapped(f"source: {held.source}")
    if held.note and priced:
        yield from _wrapped(f"note: {held.note}")


def _wrapped(text: str, indent: int = 2) -> list[str]:
    first, more = " " * indent, " " * (indent + 2)
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=more, break_on_hyphens=False)


def _aligned(rows: Sequence[Sequence[str]], right: set[int]) -> list[str]:
    """Columns as wide as they must be, indented; those of ``right`` flush with their right edge."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
