"""The arguments of `fairchip prices`; what it prints is in ``bench.price_list``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.errors import UsageError
from bench.options import AsOfOption, InstanceOption, PricesOption, RegionOption


def prices(
    named: Annotated[str | None, typer.Argument(metavar="INSTANCE", help="As --instance.")] = None,
    instance: InstanceOption = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Such as aws, gcp or lambda.")] = None,
    region: RegionOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Such as on-demand, spot or capacity-block.")] = None,
    as_of: AsOfOption = None,
    history: Annotated[bool, typer.Option("--history", help="Every observation, not each place's last.")] = False,
    apart: Annotated[bool, typer.Option("--apart", help="The rows kept apart: undated or derived.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Which price holds on the day, and why.")] = False,
    validate: Annotated[Path | None, typer.Option("--validate", help="Say whether a file can be used.")] = None,
    files: PricesOption = None,
    format_: Annotated[
        Literal["text", "csv", "json"], typer.Option("--format", help="How to print the rows.")
    ] = "text",
) -> None:
    """List the price book, say which price holds on a day and why, or validate a file of prices.

    A missing price is shown with its reason. What the columns mean: docs/prices.md.
    """
    from bench.comparing import chosen_day
    from bench.price_list import print_apart, print_explanations, print_prices, print_validity
    from results.price_selection import PriceFilter

    if instance and named and instance != named:
        raise UsageError(f"two instances: {named} and {instance}", "name one")
    wanted = PriceFilter(instance=named or instance, provider=provider, region=region, purchase_model=model)
    day = chosen_day(as_of)
    if validate is not None:
        print_validity(validate)
    elif explain:
        print_explanations(wanted, files or [], day)
    elif apart:
        print_apart(wanted, day, format_)
    else:
        print_prices(wanted, files or [], day, format_, history)
