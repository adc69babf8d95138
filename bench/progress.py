"""What a person sees while a suite runs, on standard error: a bar on a terminal, plain lines elsewhere.

The end of a run is a line: how it ended, what the suite took and cost so far, and how long it will take yet.
"""

import contextlib
import threading
import time
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from results.gates import lost_by, tokens_per_second, waits_for_parity
from results.record import Gate, RunRecord

STILL_SECONDS = 60.0
"""How long plain lines may be silent: a first step may compile for many minutes."""


class Display:
    """Follows the runs of one suite; a context manager. ``usd_per_hour`` of the machine, where it is known."""

    def __init__(self, total_runs: int, console: Console | None = None, *, usd_per_hour: float | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._total, self._done, self._began = total_runs, 0, time.monotonic()
        self._title, self._usd_per_hour = "", usd_per_hour
        self._phase, self._since, self._over = "", time.monotonic(), threading.Event()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[cost]}"),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_interactive,
        )
        self._task = self._bar.add_task("starting", total=total_runs, cost="", left="")

    def __enter__(self) -> Self:
        self._bar.start()
        if not self._console.is_interactive:
            threading.Thread(target=self._say_still, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):  # the terminal may be what has gone
            self._bar.stop()

    def begin(self, folder: Path, finished: int, total_runs: int) -> None:
        """Where the records go, how many runs there will be, and how many are there already."""
        self._done, self._total = finished, total_runs
        self._bar.update(self._task, completed=finished, total=total_runs)
        already = f", {finished} are there already" if finished else ""
        self._console.print(f"{self._total} runs{already}; records go to {folder}", markup=False, soft_wrap=True)

    def start(self, case: str, role: str, number: int) -> None:
        """A run begins."""
        self._title = f"{case}, cold start" if role == "cold-start" else f"{case}, run {number + 1}"
        self._phase, self._since = "starting", time.monotonic()
        self._bar.update(self._task, description=self._title)

    def progress(self, phase: str, done: int, of: int) -> None:
        """A run tells what it does."""
        amount = f" {done}/{of}" if of else ""
        if phase != self._phase:
            self._phase, self._since = phase, time.monotonic()
        self._bar.update(self._task, description=f"{self._title}: {phase}{amount}", cost=self._cost())

    def _say_still(self) -> None:
        """A line a minute while one phase of a run goes on."""
        while not self._over.wait(STILL_SECONDS):
            lasted = time.monotonic() - self._since
            if self._phase and lasted >= STILL_SECONDS:
                with contextlib.suppress(OSError):
                    self._console.print(
                        f"{self._title}: {self._phase} for {minutes(lasted)}; {self._so_far()}", markup=False
                    )

    def finish(self, record: RunRecord, left_seconds: float, *, guessed: bool = False) -> None:
        """A run ended; the others are expected, or guessed, to take ``left_seconds``."""
        self._done, self._phase = self._done + 1, ""
        left = f"about {minutes(left_seconds)} left{' (a guess)' * guessed}" if self._done < self._total else ""
        self._bar.update(self._task, advance=1, cost=self._cost(), left=left)
        times = ", ".join(filter(None, (self._so_far(), left)))
        line = f"[{self._done}/{self._total}] {self._title}: {outcome(record)}; {times}"
        self._console.print(line, markup=False, soft_wrap=True)

    def _so_far(self) -> str:
        """Time since this display began, for which the machine is paid, and what that costs."""
        return ", ".join(filter(None, (minutes(time.monotonic() - self._began), self._cost()))) + " so far"

    def _cost(self) -> str:
        if self._usd_per_hour is None:
            return ""
        return f"{self._usd_per_hour * (time.monotonic() - self._began) / 3600:.4f} USD"


def outcome(record: RunRecord) -> str:
    """One line on how a run ended."""
    measured = record.measurement
    if measured is None:
        return f"{record.status}: {record.reason}"
    start_up = measured.start_up
    first = f"start-up {start_up.open_seconds + start_up.first_step_seconds:.1f} s ({start_up.cache} cache)"
    if not measured.windows:
        return first
    lost = "".join(f"; {effect_of(record, gate)}: {gate.id} {gate.outcome}" for gate in lost_by(record))
    return f"{tokens_per_second(record):,.0f} tokens/s, {first}{lost}"


def effect_of(record: RunRecord, gate: Gate) -> str:
    """What a lost gate does to the run."""
    return "to be compared" if waits_for_parity(record, gate) else "no rank"


def minutes(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
