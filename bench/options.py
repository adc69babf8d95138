"""Options that several commands have, each said once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

InstanceOption = Annotated[
    str | None, typer.Option("--instance", help="Rented machine, such as c8i.2xlarge, if it is not detected.")
]
UsdOption = Annotated[
    float | None, typer.Option("--usd-per-hour", help="Your own price of the whole machine, in USD per hour.")
]
PricesOption = Annotated[
    list[Path] | None, typer.Option("--prices", help="CSV file of your own prices, which stand before the book's.")
]
DiscountOption = Annotated[
    list[str] | None, typer.Option("--discount", help="Your discount on an instance, such as p5en.48xlarge=30%.")
]
GoodputOption = Annotated[
    float, typer.Option("--goodput", help="Share of the rented time that makes useful tokens, such as 0.9.")
]
RegionOption = Annotated[str | None, typer.Option("--region", help="Region whose price to use, such as us-east-2.")]
AsOfOption = Annotated[str | None, typer.Option("--as-of", help="Day of the prices, YYYY-MM-DD; default today.")]
MarginOption = Annotated[
    float,
    typer.Option("--margin", min=0.0, max=1.0, help="Cost differences below this share decide nothing."),
]
FormatOption = Annotated[
    Literal["table", "md", "json", "csv"],
    typer.Option("--format", help="The comparison; csv: a row a run."),
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", help="Also write it as a page for a browser: one file, no network.")
]
MarkdownOption = Annotated[Path | None, typer.Option("--md", help="Also write it as Markdown, into a file.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the records; default: results/runs/TIME-SUITE, or where it was begun."),
]
AgainOption = Annotated[
    bool, typer.Option("--again", help="Measure anew, into a new folder, what was begun or finished before.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit 1 if any run failed or lost its rank.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option("--precision", help="Half-width to reach, such as 3%: the runs are a pilot that plans the others."),
]
MinutesOption = Annotated[
    float | None, typer.Option("--budget-minutes", help="Stop within so many minutes, after a whole round.")
]
DollarsOption = Annotated[
    float | None, typer.Option("--budget-usd", help="Stop within the minutes that so many USD rent this machine for.")
]
PolicyOption = Annotated[
    Literal["fp32", "bf16-mixed"] | None, typer.Option("--policy", help="Numerics, instead of the workload's own.")
]
RecipeOption = Annotated[
    str | None, typer.Option("--recipe", help="A recipe's TOML file, or the name of another that the backend ships.")
]
ColdStartsOption = Annotated[int, typer.Option("--cold-starts", min=0, max=100, help="Cold starts a case.")]
WindowsOption = Annotated[int, typer.Option("--windows", min=1, max=10000, help="Timed windows a run.")]
TimeLimitOption = Annotated[float, typer.Option("--time-limit", min=1.0, max=1e6, help="Seconds a run may take.")]


def examples(*lines: str) -> str:
    """An epilog whose lines are kept as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
