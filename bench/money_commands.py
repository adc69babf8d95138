"""`fairchip cost` and `fairchip anchors`: what tokens cost, without a machine."""

from pathlib import Path
from typing import Annotated

import typer

from bench.options import (
    AsOfOption,
    DiscountOption,
    GoodputOption,
    InstanceOption,
    PricesOption,
    RegionOption,
    UsdOption,
    examples,
)

app = typer.Typer()


@app.command(
    epilog=examples(
        "fairchip cost --tokens 15T --tokens-per-second 52000 --instance trn2.48xlarge --count 64",
        "fairchip cost --tokens 2B results/runs/A --usd-per-hour 0.10",
        "fairchip cost --scenario openai-on-aws --as-of 2026-11-22",
    )
)
def cost(
    records: Annotated[
        list[Path] | None, typer.Argument(metavar="RECORDS", help="Records whose measured throughput is taken.")
    ] = None,
    tokens: Annotated[str | None, typer.Option("--tokens", help="How many: 15T, 2.5B, 3e12.")] = None,
    tokens_per_second: Annotated[
        float | None, typer.Option("--tokens-per-second", help="Throughput of one instance, instead of records.")
    ] = None,
    count: Annotated[int, typer.Option("--count", help="Instances, taken to be as many times as fast.")] = 1,
    goodput: GoodputOption = 1.0,
    start_up: Annotated[float, typer.Option("--start-up", help="Seconds until the first step; default: none.")] = 0.0,
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    files: PricesOption = None,
    discount: DiscountOption = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="A budget and what it buys: a shipped name, or a TOML file.")
    ] = None,
) -> None:
    """Plan a training run: days and dollars, from measured or given throughput.

    With --scenario: what a budget buys on either side.
    """
    from bench.comparing import price_choice
    from bench.money import print_bills, print_scenario

    choice = price_choice(instance, region, usd_per_hour, as_of, files, discount, goodput)
    if scenario is not None:
        print_scenario(scenario, choice)
        return
    print_bills(records, tokens, tokens_per_second, count, start_up, choice)


@app.command(epilog=examples("fairchip anchors", "fairchip anchors --as-of 2026-03-01"))
def anchors(region: RegionOption = None, as_of: AsOfOption = None) -> None:
    """Show what others have published about the question, with their settings, under dated prices.

    Nobody measured these here, and no two of them are matched: no verdict.
    """
    from bench.comparing import price_choice
    from bench.money import print_anchors

    print_anchors(price_choice(None, region, None, as_of))
