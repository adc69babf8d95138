"""`fairchip compare`: two sets of records, and whether the second may be worse by so much."""

from pathlib import Path
from typing import Annotated

import typer

from bench.options import (
    AsOfOption,
    DiscountOption,
    FormatOption,
    GoodputOption,
    InstanceOption,
    MarginOption,
    PricesOption,
    RegionOption,
    UsdOption,
)


def compare(
    sides: Annotated[
        list[Path], typer.Argument(metavar="RECORDS", help="Record files or folders; one: against published ones.")
    ],
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    files: PricesOption = None,
    discount: DiscountOption = None,
    goodput: GoodputOption = 1.0,
    margin: MarginOption = 0.02,
    fail_on: Annotated[
        list[str] | None,
        typer.Option("--fail-on", help="Exit 1 if worse by more, surely: usd_per_mtok:5%, tokens_per_second:3%."),
    ] = None,
    format_: FormatOption = "table",
) -> None:
    """Hold records against each other; the first is the baseline.

    One side alone is held against the published records of the same work. Exit 1 if a threshold of --fail-on is broken:
    the whole interval is beyond it.
    """
    from bench.comparing import price_choice, print_comparison, side_names
    from results.published import published_like
    from results.store import load_all
    from results.thresholds import parse_thresholds

    choice = price_choice(instance, region, usd_per_hour, as_of, files, discount, goodput)
    thresholds = parse_thresholds(fail_on or ())
    records = {name: load_all([side]) for name, side in zip(side_names(sides), sides, strict=True)}
    if len(records) == 1:
        records = {"published": published_like(next(iter(records.values()))), **records}
    stands = print_comparison(records, choice, margin, format_, thresholds)
    raise typer.Exit(0 if stands else 1)
