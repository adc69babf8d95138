"""`fairchip tune`: the command, and what comes of its final runs: a recipe file, or that none is better."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.options import (
    AgainOption,
    InstanceOption,
    MarginOption,
    OutOption,
    PolicyOption,
    RegionOption,
    UsdOption,
    examples,
)

if TYPE_CHECKING:
    from backends.recipe import Recipe
    from bench.measuring import Wish
    from bench.tuning import Search
    from results.record import RunRecord

app = typer.Typer()


@app.command(epilog=examples("fairchip tune smoke jax-cpu --search-minutes 0.5 --runs 3"))
def tune(
    workload: Annotated[str, typer.Argument(help="Name of the catalog, or a TOML file.")],
    backend: Annotated[str, typer.Argument(help="The backend whose recipes are searched.")],
    policy: PolicyOption = None,
    search_minutes: Annotated[
        float, typer.Option("--search-minutes", min=0.0, max=1e5, help="After so long no other field is tried.")
    ] = 60.0,
    runs: Annotated[int, typer.Option("--runs", min=3, max=1000, help="Final runs of as-is and of the winner.")] = 5,
    out: OutOption = None,
    again: AgainOption = False,
    instance: InstanceOption = None,
    region: RegionOption = None,
    usd_per_hour: UsdOption = None,
    margin: MarginOption = 0.02,
) -> None:
    """Search a backend's recipes for a faster one of the same work.

    The winner is held against as-is in runs that the search did not see, and written as a recipe file if it is better
    by more than the margin, the whole interval. The same command goes on where an interrupted one stopped.
    """
    from backends.registry import availability, load_backend
    from bench.comparing import price_choice
    from bench.entry import say
    from bench.folders import RUNS_FOLDER
    from bench.measuring import Wish
    from bench.suite import make_case
    from bench.tuning import Search
    from bench.workload_choice import choose_workload

    choice = price_choice(instance, region, usd_per_hour, None)
    load_backend(backend)
    found = availability(backend)
    if not found.available:
        say(f"{backend} is unavailable: {found.reason}; {found.fix}")
        raise typer.Exit(3)
    case = make_case(choose_workload(workload, policy), backend)
    name = f"tune-{Path(case.workload.name).stem}-{case.workload.precision}-{backend}"
    folder = _free(out or RUNS_FOLDER / name) if again else out or RUNS_FOLDER / name
    wish = Wish(choice=choice, margin=margin, out=folder / "final")
    raise typer.Exit(_tuned(Search(case, folder, search_minutes), wish, runs, again=again))


def _tuned(search: "Search", wish: "Wish", runs: int, *, again: bool) -> int:
    """Search, then hold what was found against as-is; the exit code."""
    from bench.announcing import say_stopped
    from bench.entry import say
    from bench.folders import RUNS_FOLDER
    from bench.interruption import Interrupted, orderly_stop
    from bench.measuring import measure_and_compare
    from bench.plan import MeasurePlan
    from bench.schedule import Campaign

    print(f"search: at most {search.candidates} recipes, records below {search.folder}", flush=True)
    try:
        with orderly_stop():
            search.run()
    except Interrupted as stop:
        finished = any(search.folder.rglob("*.json"))
        say_stopped(search.folder, str(stop), finished=finished, again=again)
        return stop.exit_code
    print(f"search: {search.effort()}")
    if search.best == search.as_is:
        print("none is better: no recipe was ahead of as-is in the search")
        return 0
    winner = replace(search.best, name="tuned", track="tuned")
    say(f"found: {search.changes()}; now as-is and this one in {runs} runs that the search did not see")
    plan = MeasurePlan(time_limit_seconds=3600.0)
    cases = [search.as_case(search.as_is), search.as_case(winner)]
    campaign = Campaign(suite="tuned", cases=cases, plan=plan, runs=runs, cold_starts=1, folder=RUNS_FOLDER)
    return measure_and_compare(campaign, replace(wish, conclude=partial(_conclude, search, winner, wish)))


def _conclude(search: "Search", winner: "Recipe", wish: "Wish", records: "Sequence[RunRecord]") -> None:
    """Write the recipe with its evidence, or say that none is better."""
    from backends.recipe import as_toml
    from results.files import write_atomically
    from results.report import make_sections

    (section,) = make_sections({"": records}, wish.choice, wish.margin)
    (comparison,) = section.comparisons
    if comparison.verdict != "better" or comparison.cost_ratio is None:
        print(f"none is better: what the search found is not surely ahead of as-is by {wish.margin:.0%}")
        return
    evidence = search.evidence(comparison.cost_ratio, records[-1])
    path = search.folder / "tuned.toml"
    write_atomically(path, as_toml(replace(winner, tuning=evidence)))
    print(f"recipe:  {path}; use it with --recipe {path}")


def _free(folder: Path) -> Path:
    """The folder, or the same with a number, whichever first is not there."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(other for other in chain([folder], numbered) if not other.exists())
