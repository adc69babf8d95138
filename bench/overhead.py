"""What the harness adds to a step: our window against a bare loop over the same session.

    .venv/bin/python -m bench.overhead --backend torch-cpu --workload bytes-5m

Two measurements, because one pair of windows of a CPU varies by several per cent:

1. interleaved: bare, ours, ours, bare, ... over one live session, median ratio with a 95 % interval;
2. direct: the same two loops over a session whose steps cost nothing, so that what is left is overhead.

It runs in this process: set a recipe's variables yourself where they matter.
"""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from backends.contract import Rank, Session
from backends.fake import FakeSession, Script
from backends.registry import load_backend
from bench.measure import Stopwatch, quiet_process
from bench.suite import make_case
from workloads.catalog import find_workload
from workloads.data import BatchSource, batch_source

STEPS = 1
"""Optimizer steps of one loop: the shortest window bears the most overhead."""


@dataclass
class BareLoop:
    """The least that trains: make a batch, step; wait at the end."""

    session: Session
    batches: BatchSource
    next_step: int = 0

    def seconds(self, steps: int) -> float:
        """Time so many steps; blocks until they are done."""
        start = time.perf_counter_ns()
        for step in range(self.next_step, self.next_step + steps):
            self.session.step(self.batches(step))
        self.session.sync()
        self.session.losses()
        self.next_step += steps
        return (time.perf_counter_ns() - start) / 1e9


def interleaved(session: Session, batches: BatchSource, rounds: int) -> tuple[float, float, float]:
    """Step time in our window over that in the bare loop: median over rounds of ABBA, and its 95 % interval."""
    bare, watch = BareLoop(session, batches), Stopwatch(session, batches, 1, time.perf_counter_ns)
    for _ in range(5):
        bare.seconds(STEPS)
        watch.window(STEPS)
    ratios: list[float] = []
    with quiet_process():
        for _ in range(rounds):
            first = bare.seconds(STEPS)
            ours = watch.window(STEPS).seconds + watch.window(STEPS).seconds
            ratios.append(ours / (first + bare.seconds(STEPS)))
    return median_interval(ratios)


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median with the order statistics that enclose it in 95 % of samples, whatever their distribution.

    Ranks n/2 -+ 1.96 sqrt(n)/2, the normal approximation of the binomial (Conover, Practical Nonparametric
    Statistics, 3.2). A burst of other work moves a mean and not a median.
    """
    ordered, count = sorted(values), len(values)
    reach = 1.96 * math.sqrt(count) / 2
    low, high = math.floor(count / 2 - reach), math.ceil(count / 2 + reach)
    return statistics.median(ordered), ordered[max(0, low)], ordered[min(count - 1, high)]


def direct_seconds_per_step(batches: BatchSource, loops: int = 2000) -> float:
    """What our window adds to a step that costs nothing: the difference of the medians of many loops."""
    session = FakeSession(Script(step_seconds=lambda step: 0.0))
    loop, watch = BareLoop(session, batches), Stopwatch(session, batches, 1, time.perf_counter_ns)
    pairs = [(watch.window(STEPS).seconds, loop.seconds(STEPS)) for _ in range(loops)]
    return (statistics.median(ours for ours, _ in pairs) - statistics.median(bare for _, bare in pairs)) / STEPS


def main(
    backend: Annotated[str, typer.Option("--backend")] = "torch-cpu",
    workload: Annotated[str, typer.Option("--workload")] = "bytes-5m",
    rounds: Annotated[int, typer.Option("--rounds", min=20)] = 200,
) -> None:
    """Print both measurements."""
    case = make_case(find_workload(workload), backend)
    batches = batch_source(case.workload)
    with load_backend(backend).open(case.workload, case.recipe, Rank()) as session:
        ratio, low, high = interleaved(session, batches, rounds)
        step_seconds = BareLoop(session, batches).seconds(10) / 10
    print(f"{case.name}, {step_seconds * 1e3:.1f} ms a step, {rounds} rounds ABBA of {STEPS} step")
    print(f"interleaved: our window / bare loop = {ratio:.4f} [{low:.4f}, {high:.4f}]")
    added = direct_seconds_per_step(batches)
    print(f"direct:      {added * 1e6:+.1f} us a step, {added / step_seconds:+.4%} of a step")


if __name__ == "__main__":
    typer.run(main)
