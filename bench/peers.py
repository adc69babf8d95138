"""Other trainers of the same model against ours, interleaved on this machine: `python -m bench.peers`, or `make peers`.

The same workers, windows and gates as for any case. Each peer runs twice: in the environment of our own recipe, which
is what a ratio of steps means, and as shipped, which is what its users get.
"""

import sys
from typing import Annotated, Literal

import typer

import bench.entry
from backends.registry import availability
from bench.comparing import price_choice
from bench.effort import chosen_effort
from bench.folders import RUNS_FOLDER
from bench.measuring import Wish, measure_and_compare
from bench.options import AgainOption, MinutesOption, OutOption
from bench.plan import Case, MeasurePlan
from bench.schedule import Campaign
from bench.suite import make_case
from bench.workload_choice import choose_workload
from results.compare import DEFAULT_MARGIN
from workloads.spec import Workload

OURS = ("torch", "jax")
TRAINERS = ("transformers", "torchtitan", "one-file", "flax-nnx")
RECIPES = ("as-is", "as-shipped")

app = typer.Typer(add_completion=False)


@app.command()
def peers(
    workload: Annotated[str, typer.Option("--workload", help="Name of the catalog.")] = "llama-tiny",
    policy: Annotated[Literal["fp32", "bf16-mixed"] | None, typer.Option("--policy")] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option("--device")] = "cpu",
    skip: Annotated[list[str] | None, typer.Option("--skip", help="A trainer to leave out.")] = None,
    as_shipped: Annotated[
        bool, typer.Option("--as-shipped/--same-environment", help="Peers in their usual environment too.")
    ] = True,
    runs: Annotated[int, typer.Option("--runs", min=1, max=1000)] = 3,
    windows: Annotated[int, typer.Option("--windows", min=1)] = 4,
    budget_minutes: MinutesOption = None,
    out: OutOption = None,
    again: AgainOption = False,
) -> None:
    """Measure our backends and every peer that is installed; the first of ours is the baseline."""
    chosen = choose_workload(workload, policy, None, None, "uint16")
    cases = peer_cases(chosen, device, tuple(skip or ()), RECIPES if as_shipped else RECIPES[:1])
    plan = MeasurePlan(windows=windows, time_limit_seconds=3600.0)
    campaign = Campaign(
        suite=f"peers-{chosen.name}-{chosen.precision}-{device}",
        cases=cases,
        plan=plan,
        runs=runs,
        cold_starts=1,
        folder=RUNS_FOLDER,
    )
    choice = price_choice(None, None, None, None)
    effort = chosen_effort(None, budget_minutes, None, choice)
    wish = Wish(choice=choice, margin=DEFAULT_MARGIN, effort=effort, out=out, again=again)
    raise typer.Exit(measure_and_compare(campaign, wish))


def peer_cases(
    workload: Workload, device: str, without: tuple[str, ...] = (), recipes: tuple[str, ...] = RECIPES
) -> list[Case]:
    """Ours, then each trainer that is installed here, with each of these recipes: the environments it runs in."""
    ours = [make_case(workload, f"{engine}-{device}") for engine in OURS if engine not in without]
    here = [name for name in TRAINERS if name not in without and availability(f"{name}-{device}").available]
    return [*ours, *(make_case(workload, f"{name}-{device}", recipe) for name in here for recipe in recipes)]


if __name__ == "__main__":
    sys.exit(bench.entry.run(app))
