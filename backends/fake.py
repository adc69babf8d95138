"""The official test double: a backend that computes nothing and does exactly what a script says.

With a `FakeClock` it is deterministic to the nanosecond; without one it sleeps, so that a whole case can
run through worker processes. Its runs are marked simulated and are never ranked or priced.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from backends.contract import Availability, MemoryUse, Rank, Sampler, Scalar, StepLoss
from backends.recipe import Recipe, resolve
from workloads.data import Batch
from workloads.spec import Workload


class FakeClock:
    """A clock that only its owner moves. Nanoseconds."""

    def __init__(self) -> None:
        self.nanoseconds = 0

    def __call__(self) -> int:
        return self.nanoseconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.nanoseconds += round(seconds * 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What a fake session does."""

    step_seconds: Callable[[int], float] = lambda step: 0.01
    """Device time of each step."""
    loss: Callable[[int], float] = lambda step: 5.5 * 0.99**step
    sync_waits: bool = True
    """False: the barrier returns early; only a read-back waits."""
    read_back_waits: bool = True
    """False: even the read-back does not wait, as on a stack that lies."""
    compiles_at: frozenset[int] = frozenset({0})
    """Steps that compile a graph."""
    fails_at: Mapping[int, BaseException] = field(default_factory=dict)
    description: Mapping[str, Scalar] = field(default_factory=dict)
    """Replaces parts of `describe`."""


class FakeSession:
    """Asynchronous: a step only enqueues; time passes when somebody waits."""

    def __init__(self, script: Script, sleep: Callable[[float], None] = time.sleep) -> None:
        self.script, self._sleep = script, sleep
        self._queued_seconds = 0.0
        self._pending: list[StepLoss] = []
        self._graphs = 0
        self.calls: list[str] = []
        """Names of the methods called, in order."""

    def step(self, batch: Batch) -> None:
        """Enqueue; raises what the script says."""
        self.calls.append("step")
        if batch.step in self.script.fails_at:
            raise self.script.fails_at[batch.step]
        self._graphs += batch.step in self.script.compiles_at
        self._queued_seconds += self.script.step_seconds(batch.step)
        self._pending.append(StepLoss(step=batch.step, loss=self.script.loss(batch.step), gradient_norm=1.0))

    def sync(self) -> None:
        """Wait, if the script's barrier waits."""
        self.calls.append("sync")
        if self.script.sync_waits:
            self._drain()

    def losses(self) -> Sequence[StepLoss]:
        """Read back, waiting if the script's read-back waits."""
        self.calls.append("losses")
        if self.script.read_back_waits:
            self._drain()
        pending, self._pending = self._pending, []
        return pending

    def _drain(self) -> None:
        queued, self._queued_seconds = self._queued_seconds, 0.0
        if queued:
            self._sleep(queued)

    def compiled_graphs(self) -> int | None:
        """As scripted."""
        return self._graphs

    def memory(self) -> MemoryUse | None:
        """A constant."""
        return MemoryUse(peak_bytes=2**20, source="fake")

    def describe(self) -> Mapping[str, Scalar]:
        """Plausible values, with the script's on top."""
        plausible: dict[str, Scalar] = {
            "engine": "fake",
            "device_type": "fake",
            "device_name": "fake",
            "fallback": None,
            "operand_fraction_bits": 52,
            "accumulation_exact": True,
        }
        return plausible | dict(self.script.description)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.calls.append("close")


class FakeBackend:
    """A backend whose every session follows one script."""

    name = "fake"
    simulated = True
    script = Script()

    def probe(self) -> Availability:
        """Always available."""
        return Availability(available=True, device_type="fake", device_count=1)

    def recipes(self, workload: Workload) -> Mapping[str, Recipe]:
        """One recipe."""
        return {"as-is": resolve(Recipe(), workload)}

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables."""
        return dict(recipe.environment)

    def samplers(self) -> Sequence[Sampler]:
        """None."""
        return ()

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> FakeSession:
        """A session that sleeps."""
        return FakeSession(self.script)
