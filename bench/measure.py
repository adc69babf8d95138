"""The timing loop: the only place where a clock is read for a result.

A window is K whole optimizer steps (batch, forward, backward, clip, update) between two points at which
the device is proven idle: the session's own barrier, then the losses read back to the host, because on
some stacks the barrier alone returns early.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from backends.contract import Session
from bench.plan import MeasurePlan
from bench.steady import SAMPLE_WINDOWS, is_steady
from bench.wall_clock import WallClock
from results.record import Measurement, Memory, SelfCheck, StartUp, StepValue, Window
from workloads.data import BatchSource

Clock = Callable[[], int]
"""Monotonic nanoseconds."""
Report = Callable[[str, int, int], None]
"""Told the phase, how much of it is done, and of how much (0: unknown)."""


SELF_CHECKS = 3
"""An odd number: the gate takes the median, so that one burst of other work does not decide."""


class Stopwatch:
    """Steps a session through its batches and times windows of them."""

    def __init__(
        self,
        session: Session,
        batches: BatchSource,
        tokens_per_step: int,
        clock: Clock,
        wall_clock: WallClock | None = None,
    ) -> None:
        self.session, self.batches, self.clock = session, batches, clock
        self.tokens_per_step = tokens_per_step
        self.steps: list[StepValue] = []
        self._next_step = 0
        self.origin, self.origin_unix_seconds = clock(), (wall_clock or WallClock.now())()

    def window(self, steps: int) -> Window:
        """Time ``steps`` optimizer steps, the next ones; blocks until they are done."""
        waited = 0
        self.settle()
        # ---------------------------------------------------------------- timed region begins
        # Inside: batches, whole steps, the closing barrier and read-back. Outside: everything else.
        start = self.clock()
        for step in range(self._next_step, self._next_step + steps):
            asked = self.clock()
            batch = self.batches(step)
            waited += self.clock() - asked
            self.session.step(batch)
        self.settle()
        end = self.clock()
        # ---------------------------------------------------------------- timed region ends
        self._next_step += steps
        return Window(
            start_seconds=(start - self.origin) / 1e9,
            seconds=(end - start) / 1e9,
            steps=steps,
            tokens=steps * self.tokens_per_step,
            batch_wait_seconds=waited / 1e9,
        )

    def settle(self) -> None:
        """Prove that the device is idle: its own barrier, then the last loss on the host."""
        self.session.sync()
        self.steps += [
            StepValue(step=s.step, loss=_finite(s.loss), gradient_norm=_finite(s.gradient_norm))
            for s in self.session.losses()
        ]

    def idle_seconds(self) -> float:
        """What settling costs when nothing is enqueued."""
        start = self.clock()
        self.settle()
        return (self.clock() - start) / 1e9


def measure(
    session: Session,
    batches: BatchSource,
    tokens_per_step: int,
    plan: MeasurePlan,
    start_up: StartUp,
    report: Report = lambda phase, done, of: None,
    clock: Clock = time.perf_counter_ns,
    wall_clock: WallClock | None = None,
) -> Measurement:
    """One run: first step, warm-up until steady, self-check, the declared windows; blocks throughout.

    ``start_up`` holds what was measured before; its first_step_seconds is filled in here.
    """
    watch = Stopwatch(session, batches, tokens_per_step, clock, wall_clock)
    report("first step", 0, 0)
    first = watch.window(1)
    warmup, steady = run_until_steady(watch, plan, report) if plan.windows else ((), None)
    large = max(steps_for(plan.window_seconds, warmup or (first,)), plan.minimum_steps_per_window)
    half = steps_for(plan.window_seconds / 2, warmup or (first,))
    checks = [self_check(watch, half) for _ in range(SELF_CHECKS if plan.windows else 0)]
    graphs_before = session.compiled_graphs()
    with quiet_process():
        windows = []
        for done in range(plan.windows):
            report("windows", done, plan.windows)
            windows.append(watch.window(large))
        report("windows", plan.windows, plan.windows)
    graphs_after = session.compiled_graphs()
    memory = session.memory()
    return Measurement(
        origin_unix_seconds=watch.origin_unix_seconds,
        start_up=start_up.model_copy(update={"first_step_seconds": first.seconds}),
        warmup=tuple(warmup),
        warmup_steady=steady,
        self_checks=tuple(checks),
        steps_per_window=large,
        windows=tuple(windows),
        steps=tuple(watch.steps),
        compiled_graphs_before=graphs_before,
        compiled_graphs_after=graphs_after,
        memory=Memory(peak_bytes=memory.peak_bytes, source=memory.source) if memory else None,
        session=dict(session.describe()),
    )


def run_until_steady(watch: Stopwatch, plan: MeasurePlan, report: Report) -> tuple[tuple[Window, ...], bool]:
    """Warm-up windows, and whether step time was steady when they ended (or the time limit came first)."""
    windows = [watch.window(1) for _ in range(3)]
    deadline = watch.clock() + plan.warmup_maximum_seconds * 1e9
    while True:
        done = sum(window.steps for window in windows) + 1
        steady = is_steady(_full_windows(windows), plan.steady_fraction)
        late = watch.clock() > deadline and len(windows) >= 2 * SAMPLE_WINDOWS
        if done >= plan.warmup_minimum_steps and (steady or late):
            return tuple(windows), steady
        report("warm-up", done, 0)
        windows.append(watch.window(steps_for(plan.window_seconds, windows)))


def steps_for(seconds: float, windows: Sequence[Window]) -> int:
    """Whole steps that take at least so long, from the median step time of the last windows."""
    step_seconds = statistics.median(window.seconds / window.steps for window in windows[-SAMPLE_WINDOWS:])
    return max(1, math.ceil(seconds / step_seconds))


def self_check(watch: Stopwatch, steps: int) -> SelfCheck:
    """T(k), T(2k) and T(0)."""
    once, twice = watch.window(steps), watch.window(2 * steps)
    return SelfCheck(
        steps=steps, once_seconds=once.seconds, twice_seconds=twice.seconds, idle_seconds=watch.idle_seconds()
    )


@contextmanager
def quiet_process() -> Iterator[None]:
    """No garbage collection meanwhile: what exists is frozen, the collector is off."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _full_windows(windows: Sequence[Window]) -> list[float]:
    """Seconds per step of the windows after the first three single steps, which only size the others."""
    return [window.seconds / window.steps for window in windows[3:]]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
