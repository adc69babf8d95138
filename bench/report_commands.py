"""`fairchip compare` and `fairchip report`: what records say, at any day's prices, as text or as a page."""

from pathlib import Path
from typing import Annotated

import typer

from bench.options import (
    AsOfOption,
    DiscountOption,
    FormatOption,
    GoodputOption,
    HtmlOption,
    InstanceOption,
    MarginOption,
    MarkdownOption,
    PricesOption,
    RegionOption,
    UsdOption,
    examples,
)

app = typer.Typer()


@app.command(
    epilog=examples(
        "fairchip compare results/runs/A results/runs/B",
        "fairchip compare results/runs/A results/runs/B --instance c8i.2xlarge --format md",
        "fairchip compare results/runs/A results/runs/B --fail-on usd_per_mtok:5% --fail-on tokens_per_second:3%",
        "fairchip compare results/runs/A results/runs/B --html report.html --md report.md",
    )
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
    html: HtmlOption = None,
    md: MarkdownOption = None,
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
    stands = print_comparison(records, choice, margin, format_, thresholds, html=html, md=md)
    raise typer.Exit(0 if stands else 1)


@app.command(
    epilog=examples(
        "fairchip report",
        "fairchip report results/runs/A --as-of 2026-03-01 --instance c8i.2xlarge",
        "fairchip report results/runs/A results/runs/B --format csv",
        "fairchip report results/runs/A --html report.html",
        "fairchip report results/runs/A --instance c8i.2xlarge --prices mine.csv --discount c8i.2xlarge=12%",
    )
)
def report(
    records: Annotated[
        list[Path] | None, typer.Argument(metavar="RECORDS", help="Record files or folders; default: the newest.")
    ] = None,
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    files: PricesOption = None,
    discount: DiscountOption = None,
    goodput: GoodputOption = 1.0,
    margin: MarginOption = 0.02,
    format_: FormatOption = "table",
    html: HtmlOption = None,
    md: MarkdownOption = None,
) -> None:
    """Print the comparison of records again, at any day's prices.

    Needs no framework, and not the machine that measured.
    """
    from bench.comparing import price_choice, print_comparison
    from bench.folders import newest_folder
    from results.store import load_all

    choice = price_choice(instance, region, usd_per_hour, as_of, files, discount, goodput)
    print_comparison({"": load_all(records or [newest_folder()])}, choice, margin, format_, html=html, md=md)
