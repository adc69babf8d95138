"""Where a step's time goes, by the framework's own profiler: `python -m bench.step_profile WORKLOAD BACKEND`.

    .venv/bin/python -m bench.step_profile llama-tiny torch-cpu --policy fp32

Each kind of work in ms a step, its share, and its pace where operations are counted, then the operations that take
longest. Beside `fairchip probe`, which says what products and copies reach alone, that is the step's roofline.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import bench.entry
from backends.registry import load_backend
from bench.describe import recipe_variables
from bench.errors import UsageError
from bench.exit_code import ended
from bench.plan import MeasurePlan
from bench.suite import make_case
from bench.worker import job_line
from bench.workload_choice import choose_workload

NAMED = {"TORCHINDUCTOR_CPP_ENABLE_KERNEL_PROFILE": "1"}
"""So that torch's profiler sees the loops that its compiler made, each by name."""

COUNTED = 1e9
"""Operations a second below which a kind of work is not there for its arithmetic."""
MOST_UNCOUNTED = 0.1
"""Share of a kind's time in work that the profiler does not count, up to which its pace is told."""

app = typer.Typer(add_completion=False)


@app.command()
def step_profile(
    workload: Annotated[str, typer.Argument(help="Name of the catalog, or a TOML file.")],
    backend: Annotated[str, typer.Argument(help="The backend, with its recipe as-is.")],
    policy: Annotated[Literal["fp32", "bf16-mixed"] | None, typer.Option("--policy")] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, max=10_000, help="Profiled after as many alone.")] = 5,
    longest: Annotated[int, typer.Option("--longest", min=0, help="Operations to name.")] = 12,
) -> None:
    """Print where the time of a step goes."""
    found = _profiled(workload, backend, policy, steps)
    print("\n".join(lines(found, longest)))


def _profiled(workload: str, backend: str, policy: Literal["fp32", "bf16-mixed"] | None, steps: int) -> dict[str, Any]:
    case = make_case(choose_workload(workload, policy), backend)
    if not hasattr(load_backend(backend), "profile"):
        raise UsageError(f"{backend} has no profiler", "a backend may give a method `profile`, see backends/bases.py")
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "bench.profile_worker"],
            input=f"{job_line(case, 'cold', MeasurePlan())}{steps}\n",
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **NAMED, **recipe_variables(case, Path(cache))},
            check=False,
        )
    if done.returncode:
        raise ended(backend, done.returncode)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def lines(found: dict[str, Any], longest: int) -> list[str]:
    """The table, then the operations that take longest."""
    operations, alone = found["operations"], found["step_seconds"]
    total = sum(seconds for _, _, seconds, _, _ in operations)
    seconds_of, flops_of, uncounted = Counter[str](), Counter[str](), Counter[str]()
    for kind, _, seconds, _, flops in operations:
        seconds_of[kind] += seconds
        flops_of[kind] += flops
        uncounted[kind] += 0 if flops else seconds
    told = [f"a step takes {alone * 1e3:,.1f} ms; the profiler saw {total * 1e3:,.1f} ms of work in one"]
    told += [f"products: {found['products']}"] if found["products"] else []
    for kind, seconds in seconds_of.most_common():
        flops = flops_of[kind] if uncounted[kind] < MOST_UNCOUNTED * seconds else 0.0
        told.append(_line(kind, seconds, total, flops))
    by_time = sorted(operations, key=lambda operation: -operation[2])[:longest]
    named = [_line(f"  {name[:70]} ({calls:,.0f}x)", took, total, flops) for _, name, took, calls, flops in by_time]
    return [*told, *(["longest:"] if named else []), *named]


def _line(name: str, seconds: float, total: float, flops: float) -> str:
    pace = f"  {flops / seconds / 1e9:7,.0f} GFLOP/s" if flops / seconds > COUNTED else ""
    return f"{seconds * 1e3:10,.2f} ms {seconds / total:6.1%}  {name}{pace}"


if __name__ == "__main__":
    sys.exit(bench.entry.run(app))
