"""The command line. Data goes to standard output, progress and errors to standard error.

Frameworks and the reporting libraries are imported by the commands that need them, so that `--help` stays quick.
Every example of a help text is run by a test.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.plan import Case, MeasurePlan
    from bench.schedule import Campaign


def _examples(*lines: str) -> str:
    """An epilog whose lines are kept as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


app = typer.Typer(
    name="fairchip",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The same transformer training step on Trainium, Nvidia and CPU: tokens per second and dollars per token.",
    epilog=_examples("fairchip doctor", "fairchip bench", "fairchip report --usd-per-hour 0.10"),
)

InstanceOption = Annotated[
    str | None, typer.Option("--instance", help="Rented machine, such as c8i.2xlarge, if it is not detected.")
]
UsdOption = Annotated[
    float | None, typer.Option("--usd-per-hour", help="Your own price of the whole machine, in USD per hour.")
]
RegionOption = Annotated[str | None, typer.Option("--region", help="Region whose price to use, such as us-east-2.")]
AsOfOption = Annotated[str | None, typer.Option("--as-of", help="Day of the prices, YYYY-MM-DD; default today.")]
MarginOption = Annotated[
    float,
    typer.Option("--margin", min=0.0, max=1.0, help="Cost differences below this share decide nothing."),
]
FormatOption = Annotated[
    Literal["table", "md", "json", "csv"], typer.Option("--format", help="How to print the comparison.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for the records; default: results/runs/TIME-SUITE, or where it was begun."),
]
AgainOption = Annotated[
    bool, typer.Option("--again", help="Measure anew, into a new folder, what was begun or finished before.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit 1 if any run failed or lost its rank.")]


@app.command(
    epilog=_examples(
        "fairchip bench",
        "fairchip bench --suite smoke --strict --again",
        "fairchip bench --instance c8i.2xlarge --region us-east-1",
        "fairchip bench --usd-per-hour 0.10 --out results/runs/mine",
    )
)
def bench(
    suite: Annotated[
        str | None, typer.Option("--suite", help="smoke, cpu, chip or node; default: this machine's.")
    ] = None,
    out: OutOption = None,
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    margin: MarginOption = 0.02,
    strict: StrictOption = False,
    again: AgainOption = False,
) -> None:
    """Measure a suite on every backend here, print the comparison.

    The same command goes on where an interrupted one stopped.
    """
    from bench.comparing import price_choice
    from bench.entry import say
    from bench.measuring import measure_and_compare
    from bench.suite import default_suite, find_suite, suite_cases

    choice = price_choice(instance, region, usd_per_hour, as_of)
    chosen = find_suite(suite) if suite else default_suite()
    say(f"suite {chosen.name}: {chosen.question}")
    campaign = _campaign(chosen.name, suite_cases(chosen), chosen.plan, chosen.runs, chosen.cold_starts)
    raise typer.Exit(measure_and_compare(campaign, out, choice, margin=margin, strict=strict, again=again))


@app.command(
    epilog=_examples(
        "fairchip run --workload bytes-5m --backend torch-cpu jax-cpu",
        "fairchip run --workload llama-tiny --precision bf16-mixed --backend torch-cpu --runs 3",
        "fairchip run --workload my.toml --data tokens.bin --backend torch-cpu",
        "fairchip run --workload smoke --recipe my-recipe.toml --backend torch-cpu",
        "fairchip run --workload llama-tiny --hf-config config.json --backend jax-cpu",
    )
)
def run(
    workload: Annotated[str, typer.Option("--workload", help="Name of the catalog, or a TOML file.")],
    backend: Annotated[list[str], typer.Option("--backend", help="Backends to compare; the first is the baseline.")],
    more_backends: Annotated[list[str] | None, typer.Argument(metavar="BACKEND", help="More backends.")] = None,
    precision: Annotated[
        Literal["fp32", "bf16-mixed"] | None, typer.Option("--precision", help="Replaces the workload's policy.")
    ] = None,
    hf_config: Annotated[
        Path | None, typer.Option("--hf-config", help="Hugging Face config.json that replaces the model.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Flat token file that replaces the data.")] = None,
    data_type: Annotated[
        Literal["uint16", "uint32"], typer.Option("--data-type", help="Type of its tokens.")
    ] = "uint16",
    recipe: Annotated[Path | None, typer.Option("--recipe", help="Recipe TOML instead of each backend's own.")] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, max=1000, help="Timed runs a case; three give a verdict.")] = 5,
    cold_starts: Annotated[int, typer.Option("--cold-starts", min=0, max=100, help="Cold starts a case.")] = 1,
    windows: Annotated[int, typer.Option("--windows", min=1, max=10000, help="Timed windows a run.")] = 8,
    time_limit: Annotated[
        float, typer.Option("--time-limit", min=1.0, max=1e6, help="Seconds a run may take.")
    ] = 3600.0,
    out: OutOption = None,
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    margin: MarginOption = 0.02,
    strict: StrictOption = False,
    again: AgainOption = False,
) -> None:
    """Measure one workload on the backends you name.

    The same command goes on where an interrupted one stopped.
    """
    from bench.comparing import price_choice
    from bench.measuring import measure_and_compare
    from bench.plan import MeasurePlan
    from bench.suite import make_case
    from bench.workload_choice import choose_workload

    choice = price_choice(instance, region, usd_per_hour, as_of)
    chosen = choose_workload(workload, precision, hf_config, data, data_type)
    cases = [make_case(chosen, name, recipe) for name in dict.fromkeys([*backend, *(more_backends or [])])]
    steps = 1 if all(case.device_type == "cpu" for case in cases) else 10
    plan = MeasurePlan(windows=windows, minimum_steps_per_window=steps, time_limit_seconds=time_limit)
    campaign = _campaign(chosen.name, cases, plan, runs, cold_starts)
    raise typer.Exit(measure_and_compare(campaign, out, choice, margin=margin, strict=strict, again=again))


@app.command(name="list", epilog=_examples("fairchip list"))
def list_() -> None:
    """List backends, workloads and suites."""
    from bench.listing import print_listing

    print_listing()


@app.command(epilog=_examples("fairchip doctor"))
def doctor() -> None:
    """Say what can run here, what cannot and how to fix it."""
    from bench.doctor import print_diagnosis

    print_diagnosis()


@app.command(
    epilog=_examples(
        "fairchip compare results/runs/A results/runs/B",
        "fairchip compare results/runs/A results/runs/B --instance c8i.2xlarge --format md",
    )
)
def compare(
    sides: Annotated[list[Path], typer.Argument(metavar="RECORDS", help="Two or more record files or folders.")],
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    margin: MarginOption = 0.02,
    format_: FormatOption = "table",
) -> None:
    """Hold records against each other; the first is the baseline."""
    from bench.comparing import price_choice, print_comparison, side_names
    from results.store import load_all

    if len(sides) < 2:
        raise UsageError("compare needs two or more sides", "for one folder of records: fairchip report FOLDER")
    choice = price_choice(instance, region, usd_per_hour, as_of)
    records = {name: load_all([side]) for name, side in zip(side_names(sides), sides, strict=True)}
    print_comparison(records, choice, margin, format_)


@app.command(
    epilog=_examples(
        "fairchip report",
        "fairchip report results/runs/A --as-of 2026-03-01 --instance c8i.2xlarge",
        "fairchip report results/runs/A results/runs/B --format csv",
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
    margin: MarginOption = 0.02,
    format_: FormatOption = "table",
) -> None:
    """Print the comparison of records again, at any day's prices.

    Needs no framework, and not the machine that measured.
    """
    from bench.comparing import price_choice, print_comparison
    from bench.folders import newest_folder
    from results.store import load_all

    choice = price_choice(instance, region, usd_per_hour, as_of)
    print_comparison({"": load_all(records or [newest_folder()])}, choice, margin, format_)


@app.command(epilog=_examples("fairchip reference smoke"))
def reference(workloads: Annotated[list[str], typer.Argument(metavar="WORKLOAD")]) -> None:
    """Compute float64 reference trajectories.

    They are written into the tree, to be checked in.
    """
    from bench.reference import make_reference
    from workloads.catalog import find_workload

    for name in workloads:
        print(make_reference(find_workload(name)))


def _campaign(name: str, cases: "list[Case]", plan: "MeasurePlan", runs: int, cold_starts: int) -> "Campaign":
    from bench.folders import RUNS_FOLDER
    from bench.schedule import Campaign

    return Campaign(suite=name, cases=cases, plan=plan, runs=runs, cold_starts=cold_starts, folder=RUNS_FOLDER)


def main() -> None:
    """Entry point."""
    try:
        from bench.entry import run

        sys.exit(run(app))
    except KeyboardInterrupt:  # even before the first line of ours
        sys.exit(130)
