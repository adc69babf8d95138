"""The command line. Data goes to standard output, progress and errors to standard error.

Frameworks and the reporting libraries are imported by the commands that need them, so that `--help` stays quick.
Every example of a help text is run by a test.
"""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.money_commands import app as money_commands
from bench.options import (
    AgainOption,
    AsOfOption,
    ColdStartsOption,
    DiscountOption,
    DollarsOption,
    FormatOption,
    InstanceOption,
    MarginOption,
    MinutesOption,
    OutOption,
    PolicyOption,
    PrecisionOption,
    PricesOption,
    RecipeOption,
    RegionOption,
    StrictOption,
    TimeLimitOption,
    UsdOption,
    WindowsOption,
    examples,
)
from bench.price_command import prices
from bench.report_commands import app as report_commands
from bench.tune_command import app as tune_command

if TYPE_CHECKING:
    from bench.plan import Case, MeasurePlan
    from bench.schedule import Campaign


app = typer.Typer(
    name="fairchip",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The same transformer training step on Trainium, Nvidia and CPU: tokens per second and dollars per token.",
    epilog=examples("fairchip doctor", "fairchip bench", "fairchip report --usd-per-hour 0.10"),
)


@app.command(
    epilog=examples(
        "fairchip bench",
        "fairchip bench --suite smoke --strict --again",
        "fairchip bench --instance c8i.2xlarge --region us-east-1",
        "fairchip bench --usd-per-hour 0.10 --out results/runs/mine",
        "fairchip bench --precision 3% --budget-minutes 60",
        "fairchip bench --budget-usd 0.50 --instance c8i.2xlarge",
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
    files: PricesOption = None,
    discount: DiscountOption = None,
    margin: MarginOption = 0.02,
    precision: PrecisionOption = None,
    budget_minutes: MinutesOption = None,
    budget_usd: DollarsOption = None,
    strict: StrictOption = False,
    again: AgainOption = False,
    format_: FormatOption = "table",
) -> None:
    """Measure a suite on every backend here, print the comparison.

    The same command goes on where an interrupted one stopped.
    """
    from bench.comparing import price_choice
    from bench.effort import chosen_effort
    from bench.entry import say
    from bench.measuring import Wish, measure_and_compare
    from bench.probing import probe_first
    from bench.suite import default_suite, find_suite, suite_cases

    choice = price_choice(instance, region, usd_per_hour, as_of, files, discount)
    chosen = find_suite(suite) if suite else default_suite()
    effort = chosen_effort(precision, budget_minutes, budget_usd, choice)
    wish = Wish(choice=choice, margin=margin, effort=effort, out=out, strict=strict, again=again, format_=format_)
    say(f"suite {chosen.name}: {chosen.question}")
    cases = suite_cases(chosen)
    if chosen.probe and effort.budget is None:
        probe_first(cases)
    campaign = _campaign(chosen.name, cases, chosen.plan, chosen.runs, chosen.cold_starts)
    raise typer.Exit(measure_and_compare(campaign, wish))


@app.command(
    epilog=examples(
        "fairchip run --workload bytes-5m --backend torch-cpu jax-cpu",
        "fairchip run --workload llama-tiny --policy bf16-mixed --backend torch-cpu --runs 3",
        "fairchip run --workload my.toml --data tokens.bin --backend torch-cpu",
        "fairchip run --workload smoke --recipe my-recipe.toml --backend torch-cpu",
        "fairchip run --workload smoke --backend torch-cpu --devices 2 --runs 1",
        "fairchip run --workload smoke --backend torch-cpu jax-cpu --format json",
        "fairchip run --workload llama-tiny --hf-config config.json --backend jax-cpu",
    )
)
def run(
    workload: Annotated[str, typer.Option("--workload", help="Name of the catalog, or a TOML file.")],
    backend: Annotated[list[str], typer.Option("--backend", help="Backends to compare; the first is the baseline.")],
    more_backends: Annotated[list[str] | None, typer.Argument(metavar="BACKEND", help="More backends.")] = None,
    policy: PolicyOption = None,
    hf_config: Annotated[
        Path | None, typer.Option("--hf-config", help="Hugging Face config.json that replaces the model.")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Flat token file that replaces the data.")] = None,
    data_type: Annotated[
        Literal["uint16", "uint32"], typer.Option("--data-type", help="Type of its tokens.")
    ] = "uint16",
    recipe: RecipeOption = None,
    devices: Annotated[
        int | None, typer.Option("--devices", min=1, help="Devices of one run; default: those of one chip.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, max=1000, help="Timed runs a case; three give a verdict.")] = 5,
    cold_starts: ColdStartsOption = 1,
    windows: WindowsOption = 8,
    time_limit: TimeLimitOption = 3600.0,
    out: OutOption = None,
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    files: PricesOption = None,
    discount: DiscountOption = None,
    margin: MarginOption = 0.02,
    precision: PrecisionOption = None,
    budget_minutes: MinutesOption = None,
    budget_usd: DollarsOption = None,
    strict: StrictOption = False,
    again: AgainOption = False,
    format_: FormatOption = "table",
) -> None:
    """Measure one workload on the backends you name.

    The same command goes on where an interrupted one stopped.
    """
    from bench.comparing import price_choice
    from bench.effort import chosen_effort
    from bench.measuring import Wish, measure_and_compare
    from bench.suite import make_case
    from bench.workload_choice import choose_workload

    choice = price_choice(instance, region, usd_per_hour, as_of, files, discount)
    effort = chosen_effort(precision, budget_minutes, budget_usd, choice)
    chosen = choose_workload(workload, policy, hf_config, data, data_type)
    names = dict.fromkeys([*backend, *(more_backends or [])])
    cases = [make_case(chosen, name, recipe, devices=devices or "chip") for name in names]
    campaign = _campaign(chosen.name, cases, _plan(cases, windows, time_limit), runs, cold_starts)
    wish = Wish(choice=choice, margin=margin, effort=effort, out=out, strict=strict, again=again, format_=format_)
    raise typer.Exit(measure_and_compare(campaign, wish))


@app.command(
    epilog=examples("fairchip aa", "fairchip aa --workload bytes-5m --backend jax-cpu --runs 10 --precision 2%")
)
def aa(
    workload: Annotated[
        str | None, typer.Option("--workload", help="Default: the first of this machine's suite.")
    ] = None,
    backend: Annotated[str | None, typer.Option("--backend", help="Default: the first that is available.")] = None,
    policy: PolicyOption = None,
    recipe: RecipeOption = None,
    runs: Annotated[int, typer.Option("--runs", min=1, max=1000, help="Timed runs of each of the two halves.")] = 5,
    cold_starts: ColdStartsOption = 0,
    out: OutOption = None,
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    files: PricesOption = None,
    discount: DiscountOption = None,
    margin: MarginOption = 0.02,
    precision: PrecisionOption = None,
    budget_minutes: MinutesOption = None,
    budget_usd: DollarsOption = None,
    strict: StrictOption = False,
    again: AgainOption = False,
) -> None:
    """Measure a case against itself: the noise of this machine.

    A difference that is found where there is none says that other verdicts of this machine are not to be trusted.
    """
    from bench.comparing import price_choice
    from bench.effort import chosen_effort
    from bench.measuring import Wish, measure_and_compare
    from bench.self_comparison import print_noise, twice
    from bench.suite import default_suite

    choice = price_choice(instance, region, usd_per_hour, as_of, files, discount)
    effort = chosen_effort(precision, budget_minutes, budget_usd, choice)
    suite = default_suite()
    cases = twice(suite, workload, backend, policy, recipe)
    campaign = _campaign("aa", cases, suite.plan, runs, cold_starts)
    noise = partial(print_noise, margin)
    wish = Wish(choice=choice, margin=margin, effort=effort, out=out, strict=strict, again=again, conclude=noise)
    raise typer.Exit(measure_and_compare(campaign, wish))


@app.command(name="list", epilog=examples("fairchip list"))
def list_() -> None:
    """List backends, workloads and suites."""
    from bench.listing import print_listing

    print_listing()


@app.command(epilog=examples("fairchip doctor", "fairchip doctor --deep"))
def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Also run the smoke workload on every device found.")] = False,
) -> None:
    """Say what can run here, what cannot and how to fix it.

    With --deep, prove it: one run with all gates on each device, and what its documentation leaves open.
    """
    from bench.doctor import print_diagnosis

    print_diagnosis()
    if deep:
        from bench.deep_check import check_deeply

        print()
        raise typer.Exit(check_deeply())


@app.command(epilog=examples("fairchip probe --backend jax-cpu", "fairchip probe --policy bf16-mixed"))
def probe(
    backend: Annotated[
        list[str] | None, typer.Option("--backend", help="Which; give it again for more. Default: all here.")
    ] = None,
    policy: PolicyOption = None,
) -> None:
    """Measure what each device reaches in matrix products and copies alone.

    Later runs of the same boot are held against it. Exit 3 if no device answers.
    """
    from bench.probing import print_probes

    raise typer.Exit(print_probes(backend, policy))


app.command(
    epilog=examples(
        "fairchip prices p5.48xlarge",
        "fairchip prices p5.48xlarge --explain --model on-demand --as-of 2026-03-01",
        "fairchip prices --provider lambda --history --format csv",
        "fairchip prices trn2.48xlarge --prices mine.csv",
        "fairchip prices --validate mine.csv",
    )
)(prices)


@app.command(
    epilog=examples(
        "fairchip parity results/runs/A/timed-0000-00-smoke-jax-cpu.json",
        "fairchip parity results/runs/A results/runs/B",
    )
)
def parity(
    ours: Annotated[Path, typer.Argument(metavar="A", help="Record, or folder of records of one case.")],
    theirs: Annotated[
        Path | None, typer.Argument(metavar="B", help="Another of the same workload; default: float64.")
    ] = None,
) -> None:
    """Show two loss trajectories and where they part.

    Exit 1 if they do, or if there are too few steps to tell.
    """
    from results.store import load_all
    from results.trajectories import part, parting_lines

    parting = part(load_all([ours]), None if theirs is None else load_all([theirs]))
    print("\n".join(parting_lines(parting)))
    raise typer.Exit(0 if parting.together else 1)


@app.command(epilog=examples("fairchip reference smoke"))
def reference(workloads: Annotated[list[str], typer.Argument(metavar="WORKLOAD")]) -> None:
    """Compute float64 reference trajectories.

    They are written into the tree, to be checked in.
    """
    from bench.reference import make_reference
    from workloads.catalog import find_workload

    for name in workloads:
        print(make_reference(find_workload(name)))


app.add_typer(tune_command)
app.add_typer(report_commands)
app.add_typer(money_commands)


def _plan(cases: "list[Case]", windows: int, time_limit: float) -> "MeasurePlan":
    from bench.plan import MeasurePlan

    steps = 1 if all(case.device_type == "cpu" for case in cases) else 10
    return MeasurePlan(windows=windows, minimum_steps_per_window=steps, time_limit_seconds=time_limit)


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
