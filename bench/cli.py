"""The command line. Data goes to standard output, progress and errors to standard error.

Exit codes: 0 done, 1 a run failed or lost its rank under --strict, 2 a user's mistake, 3 no run
succeeded, 130 interrupted. Frameworks and the reporting libraries are imported by the commands that need them, so that
`--help` stays quick.
"""

import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.errors import EXPECTED, UsageError

if TYPE_CHECKING:
    from bench.campaign import Campaign
    from bench.plan import Case, MeasurePlan
    from results.costs import PriceChoice
    from results.record import RunRecord

app = typer.Typer(
    name="fairchip",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="The same transformer training step on Trainium, Nvidia and CPU: tokens per second and dollars per token.",
)

RUNS_FOLDER = Path("results") / "runs"

Format = Literal["table", "md", "json", "csv"]

InstanceOption = Annotated[
    str | None, typer.Option("--instance", help="Rented machine, such as c8i.2xlarge, if it is not detected.")
]
UsdOption = Annotated[
    float | None, typer.Option("--usd-per-hour", help="Your own price of the whole machine, in USD per hour.")
]
RegionOption = Annotated[str | None, typer.Option("--region", help="Region whose price to use, such as us-east-2.")]
AsOfOption = Annotated[str | None, typer.Option("--as-of", help="Day of the prices, YYYY-MM-DD; default today.")]
MarginOption = Annotated[
    float, typer.Option("--margin", min=0.0, max=1.0, help="Cost differences below this share decide nothing.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the comparison.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for the records; default results/runs/<time>-<suite>.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Exit 1 if any run failed or lost its rank.")]


@app.command(
    epilog="Examples:  fairchip bench   |   fairchip bench --suite smoke   |   fairchip bench --instance c8i.2xlarge"
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
) -> None:
    """Run a suite on every available backend and print the comparison."""
    from bench.suite import default_suite, find_suite, suite_cases

    choice = _price_choice(instance, region, usd_per_hour, as_of)
    chosen = find_suite(suite) if suite else default_suite()
    _say(f"suite {chosen.name}: {chosen.question}")
    cases = suite_cases(chosen)
    campaign = _campaign(chosen.name, cases, chosen.plan, chosen.runs, chosen.cold_starts, out)
    _measure(campaign, choice, margin, strict)


@app.command(
    epilog="Examples:  fairchip run --workload bytes-5m --backend torch-cpu jax-cpu   |   "
    "fairchip run --workload llama-tiny --precision bf16-mixed --backend torch-cpu --runs 3"
)
def run(
    workload: Annotated[str, typer.Option("--workload", help="Name of the catalog, or a TOML file.")],
    backend: Annotated[list[str], typer.Option("--backend", help="Backends to compare; the first is the baseline.")],
    more_backends: Annotated[list[str] | None, typer.Argument(metavar="[BACKEND]...", help="More backends.")] = None,
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
) -> None:
    """Run one workload on the backends you name and print the comparison."""
    from bench.plan import MeasurePlan
    from bench.suite import make_case
    from bench.workload_choice import choose_workload

    choice = _price_choice(instance, region, usd_per_hour, as_of)
    chosen = choose_workload(workload, precision, hf_config, data, data_type)
    cases = [make_case(chosen, name, recipe) for name in dict.fromkeys([*backend, *(more_backends or [])])]
    steps = 1 if all(case.device_type == "cpu" for case in cases) else 10
    plan = MeasurePlan(windows=windows, minimum_steps_per_window=steps, time_limit_seconds=time_limit)
    _measure(_campaign(chosen.name, cases, plan, runs, cold_starts, out), choice, margin, strict)


@app.command(name="list", epilog="Example:  fairchip list")
def list_() -> None:
    """List backends, workloads and suites; imports no framework."""
    from bench.listing import print_listing

    print_listing()


@app.command(epilog="Example:  fairchip doctor")
def doctor() -> None:
    """Say what can run here, what cannot and how to fix it."""
    from bench.doctor import print_diagnosis

    print_diagnosis()


@app.command(
    epilog="Examples:  fairchip compare results/runs/A results/runs/B   |   "
    "fairchip compare A B --instance c8i.2xlarge --format md"
)
def compare(
    sides: Annotated[list[Path], typer.Argument(metavar="RECORDS...", help="Two or more record files or folders.")],
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    margin: MarginOption = 0.02,
    format_: FormatOption = "table",
) -> None:
    """Hold records against each other: the first side is the baseline."""
    from results.store import load_all

    if len(sides) < 2:
        raise UsageError("compare needs two or more sides", "for one folder of records: fairchip report FOLDER")
    choice = _price_choice(instance, region, usd_per_hour, as_of)
    records = {name: load_all([side]) for name, side in zip(_side_names(sides), sides, strict=True)}
    _print_comparison(records, choice, margin, format_)


@app.command(epilog="Examples:  fairchip report   |   fairchip report results/runs/A --as-of 2026-03-01 --format md")
def report(
    records: Annotated[
        list[Path] | None, typer.Argument(metavar="[RECORDS]...", help="Record files or folders; default: the newest.")
    ] = None,
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    as_of: AsOfOption = None,
    margin: MarginOption = 0.02,
    format_: FormatOption = "table",
) -> None:
    """Print the comparison of records, at any day's prices; needs no framework and not the machine."""
    from results.store import load_all

    choice = _price_choice(instance, region, usd_per_hour, as_of)
    _print_comparison({"": load_all(records or [_newest_folder()])}, choice, margin, format_)


@app.command(epilog="Example:  fairchip reference bytes-5m")
def reference(workloads: Annotated[list[str], typer.Argument(metavar="WORKLOAD...")]) -> None:
    """Compute float64 reference trajectories and write them into the tree."""
    from bench.reference import make_reference
    from workloads.catalog import find_workload

    for name in workloads:
        print(make_reference(find_workload(name)))


def _campaign(
    name: str, cases: "list[Case]", plan: "MeasurePlan", runs: int, cold_starts: int, out: Path | None
) -> "Campaign":
    from bench.campaign import Campaign

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = out or RUNS_FOLDER / f"{stamp}-{Path(name).stem}"
    return Campaign(suite=name, cases=cases, plan=plan, runs=runs, cold_starts=cold_starts, folder=folder)


def _measure(campaign: "Campaign", choice: "PriceChoice", margin: float, strict: bool) -> None:
    from bench.campaign import run_campaign
    from bench.progress import Display

    _say(f"{campaign.total_runs} runs; records go to {campaign.folder}")
    try:
        with Display(campaign.total_runs) as display:
            records = run_campaign(campaign, display)
    except KeyboardInterrupt:
        _say(f"fairchip: interrupted; finished runs are in {campaign.folder}")
        raise typer.Exit(130) from None
    _conclude(campaign.folder, records, choice, margin)
    if all(record.status != "ok" for record in records):
        raise typer.Exit(3)
    if strict and not _all_hold(records):
        raise typer.Exit(1)


def _all_hold(records: "list[RunRecord]") -> bool:
    """Whether every run ended well and every timed one kept its rank."""
    from results.compare import group_cases

    ranked = sum(len(case.ranked) for case in group_cases({"": records}))
    timed = sum(record.place.role == "timed" for record in records)
    return ranked == timed and all(record.status == "ok" for record in records)


def _conclude(folder: Path, records: "list[RunRecord]", choice: "PriceChoice", margin: float) -> None:
    """Table, report file and places; without the reporting libraries, the places and what to install."""
    from results.render import markdown
    from results.report import make_sections

    try:
        page = markdown(make_sections({"": records}, choice, margin))
        (folder / "report.md").write_text(page + "\n", encoding="utf-8")
        _print_comparison({"": records}, choice, margin, "table")
        print(f"report:  {folder / 'report.md'}")
    except ModuleNotFoundError as error:
        _say(f"no comparison: it needs {error.name}; install it with: make setup, or pip install -e '.[report]'")
    finally:
        print(f"records: {folder}")


def _print_comparison(
    sides: "Mapping[str, list[RunRecord]]", choice: "PriceChoice", margin: float, format_: Format
) -> None:
    from rich.console import Console

    from results.render import as_json, markdown, print_sections
    from results.report import make_sections

    if format_ == "csv":
        from results.frame import run_frame

        print(run_frame([record for records in sides.values() for record in records]).to_csv(index=False), end="")
        return
    sections = make_sections(sides, choice, margin)
    if format_ == "json":
        print(as_json(sections))
    elif format_ == "md":
        print(markdown(sections))
    else:
        console = Console()
        print_sections(sections, console if console.is_terminal else Console(width=100))


def _price_choice(
    instance: str | None, region: str | None, usd_per_hour: float | None, as_of: str | None
) -> "PriceChoice":
    from results.costs import PriceChoice, require_usable

    try:
        day = date.fromisoformat(as_of) if as_of else datetime.now(UTC).date()
    except ValueError:
        raise UsageError(f"--as-of {as_of!r} is not a day", "write it as YYYY-MM-DD") from None
    choice = PriceChoice(as_of=day, instance=instance, region=region, usd_per_hour=usd_per_hour)
    require_usable(choice)
    return choice


def _side_names(sides: list[Path]) -> list[str]:
    """Short names: the last part of each path, or letters where these are not unique."""
    names = [side.stem if side.is_file() else side.resolve().name for side in sides]
    return names if len(set(names)) == len(names) else [chr(ord("A") + i) for i in range(len(sides))]


def _newest_folder() -> Path:
    found = {path.parent for path in RUNS_FOLDER.glob("*/*.json")}
    folders = sorted(found, key=lambda folder: folder.stat().st_mtime)
    if not folders:
        raise UsageError(f"no records below {RUNS_FOLDER}", "run `make bench` first, or name a folder of records")
    return folders[-1]


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Entry point: an expected error becomes one line and a hint, exit 2."""
    try:
        app()
    except EXPECTED as error:
        _say(f"fairchip: {error.message}")
        if error.hint:
            _say(f"  hint: {error.hint}")
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name not in ("pandas", "scipy"):
            raise
        _say(f"fairchip: this command needs {error.name}")
        _say("  hint: make setup, or pip install -e '.[report]'")
        sys.exit(2)
