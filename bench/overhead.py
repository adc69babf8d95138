"""What the harness adds to a step: our window against a bare loop over the same session.

    .venv/bin/python -m bench.overhead --backend torch-cpu --workload bytes-5m

Two measurements, because one pair of windows of a CPU varies by several per cent:

1. interleaved: bare, ours, ours, bare, ... over one live session, ratio of step times with a 95 % interval;
2. direct: the same two loops over a session whose steps cost nothing, so that what is left is overhead.
"""

import math
import statistics
import time
from dataclasses import dataclass
from typing import Annotated

import typer

from backends.contract import Rank, Session
from backends.fake import FakeSession, Script
from backends.registry import load_backend
from bench.measure import Stopwatch, quiet_process
from bench.suite import make_case
from results.stats import Interval, paired_ratio
from workloads.catalog import find_workload
from workloads.data import BatchSource, batch_source

STEPS = 2
"""Optimizer steps of one loop."""


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


def interleaved(session: Session, batches: BatchSource, rounds: int) -> Interval:
    """Step time in our window over that in the bare loop, taking turns in the order ABBA."""
    bare, watch = BareLoop(session, batches), Stopwatch(session, batches, 1, time.perf_counter_ns)
    for _ in range(3):
        bare.seconds(STEPS)
        watch.window(STEPS)
    ours: list[float] = []
    theirs: list[float] = []
    with quiet_process():
        for _ in range(rounds):
            first = bare.seconds(STEPS)
            both = watch.window(STEPS).seconds + watch.window(STEPS).seconds
            ours.append(math.log(both))
            theirs.append(math.log(first + bare.seconds(STEPS)))
    return paired_ratio(ours, theirs)


def direct_seconds_per_step(batches: BatchSource, loops: int = 2000) -> float:
    """What our window adds to a step that costs nothing: the difference of the medians of many loops."""
    session = FakeSession(Script(step_seconds=lambda step: 0.0))
    loop, watch = BareLoop(session, batches), Stopwatch(session, batches, 1, time.perf_counter_ns)
    pairs = [(watch.window(STEPS).seconds, loop.seconds(STEPS)) for _ in range(loops)]
    return (statistics.median(ours for ours, _ in pairs) - statistics.median(bare for _, bare in pairs)) / STEPS


def main(
    backend: Annotated[str, typer.Option("--backend")] = "torch-cpu",
    workload: Annotated[str, typer.Option("--workload")] = "bytes-5m",
    rounds: Annotated[int, typer.Option("--rounds", min=3)] = 60,
) -> None:
    """Print both measurements."""
    case = make_case(find_workload(workload), backend)
    batches = batch_source(case.workload)
    with load_backend(backend).open(case.workload, case.recipe, Rank()) as session:
        ratio = interleaved(session, batches, rounds)
        step_seconds = BareLoop(session, batches).seconds(10) / 10
    assert ratio.low is not None
    assert ratio.high is not None
    print(f"{case.name}, {step_seconds * 1e3:.1f} ms a step, {rounds} rounds ABBA of {STEPS} steps")
    print(f"interleaved: our window / bare loop = {ratio.estimate:.4f} [{ratio.low:.4f}, {ratio.high:.4f}]")
    added = direct_seconds_per_step(batches)
    print(f"direct:      {added * 1e6:+.1f} us a step, {added / step_seconds:+.4%} of a step")


if __name__ == "__main__":
    typer.run(main)
