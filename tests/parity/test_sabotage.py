"""Sessions that do not do what they are timed for: the gate that must catch each does, and an honest one passes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("jax")

from made_up_runs import honest_script

from backends.contract import Rank, Session, StepLoss
from backends.engine_jax import JaxSession
from backends.engine_torch import TorchSession
from backends.fake import FakeClock, FakeSession, Script
from backends.recipe import Recipe, resolve
from bench.describe import record_run
from bench.measure import measure
from bench.plan import Case, MeasurePlan
from bench.process import WorkerEnd
from bench.schedule import Campaign, Turn
from results.gates import is_ranked
from results.record import Measurement, RunRecord, StartUp
from workloads.catalog import find_workload
from workloads.data import Batch, BatchSource, batch_source

SMOKE = find_workload("smoke")
PLAN = MeasurePlan(windows=4, window_seconds=0.03, minimum_steps_per_window=2)
WARM = StartUp(cache="warm", import_seconds=0.0, open_seconds=0.0, first_step_seconds=0.0)
NOTHING = np.zeros((1, 1), np.int32)


def judged(found: Measurement, backend: str = "torch-cpu") -> RunRecord:
    """The record that the suite would keep of this measurement."""
    recipe = resolve(Recipe(), SMOKE)
    case = Case(workload=SMOKE, backend=backend, device_type="cpu", recipe=recipe)
    campaign = Campaign(suite="test", cases=[case], plan=PLAN, runs=1, cold_starts=0, folder=Path())
    turn = Turn(case=case, role="timed", round=0, order=0)
    end = WorkerEnd(status="ok", reason="", measurement=found, stderr_tail="")
    return record_run(campaign, turn, "a" * 32, datetime.now(UTC), end)


def failed(record: RunRecord) -> set[str]:
    return {gate.id for gate in record.gates if gate.outcome == "fail"}


class Sabotaged:
    """A real session, one thing about it changed."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)


class OneBatch(Sabotaged):
    """Trains on the first batch for ever: a loader that is not advanced."""

    first: Batch | None = None

    def step(self, batch: Batch) -> None:
        self.first = self.first or batch
        self._session.step(replace(self.first, step=batch.step))


class Frozen(Sabotaged):
    """Computes every gradient and updates nothing."""

    def __init__(self, session: TorchSession) -> None:
        super().__init__(session)
        session.optimizer.step = lambda *_: None


class EverySecondUpdate(Sabotaged):
    """Half of the optimizer's work is optimised away."""

    def __init__(self, session: TorchSession) -> None:
        super().__init__(session)
        update = session._update
        session._update = lambda step: update(step) if step % 2 else session.optimizer.zero_grad()


class UnusedLayer(Sabotaged):
    """Nobody asks for the gradients of a layer, so nothing computes them."""

    def __init__(self, session: TorchSession) -> None:
        super().__init__(session)
        for parameter in session.model.model.layers[0].parameters():
            parameter.requires_grad_(requires_grad=False)


class Remembered(Sabotaged):
    """After the trajectory that is checked, nothing is computed: the last answer is given again."""

    steps: Sequence[int] = ()
    last: StepLoss | None = None

    def step(self, batch: Batch) -> None:
        if batch.step < 22:
            self._session.step(batch)
        self.steps = [*self.steps, batch.step]

    def losses(self) -> Sequence[StepLoss]:
        real = {one.step: one for one in self._session.losses()}
        self.last = next(reversed(real.values()), self.last)
        asked, self.steps = self.steps, ()
        return [real.get(step) or replace(self.last, step=step) for step in asked if self.last]


@pytest.mark.parametrize("sabotage", [OneBatch, Frozen, EverySecondUpdate, UnusedLayer])
def test_other_work_than_was_asked_leaves_the_trajectory(sabotage: type[Sabotaged]) -> None:
    assert "parity" in failed(judged(_torch(sabotage)))


def test_an_answer_that_is_only_repeated_is_no_training() -> None:
    record = judged(_torch(Remembered))
    assert "loss" in failed(record)
    assert not is_ranked(record)


def test_an_honest_session_of_either_engine_fails_nothing_that_these_catch() -> None:
    caught = {"parity", "loss", "steps", "recompile", "precision", "device", "below-peak"}
    recipe = resolve(Recipe(), SMOKE)
    assert not failed(judged(_torch(Sabotaged))) & caught
    with JaxSession(SMOKE, recipe, "cpu", Rank()) as session:
        assert not failed(judged(_measured(session), "jax-cpu")) & caught


def _torch(sabotage: type[Sabotaged]) -> Measurement:
    recipe = resolve(Recipe(compile="off"), SMOKE)
    with TorchSession(SMOKE, recipe, "cpu", Rank()) as session:
        return _measured(sabotage(session))  # type: ignore[arg-type]


def _measured(session: Session) -> Measurement:
    return measure(session, batch_source(SMOKE), SMOKE.tokens_per_step, PLAN, WARM)


def scripted(script: Script, batch_seconds: float = 0.0) -> RunRecord:
    """A session that follows a script, by a clock that only it moves."""
    clock = FakeClock()

    def batches(step: int) -> Batch:
        clock.sleep(batch_seconds)
        return Batch(step, NOTHING, NOTHING)

    source: BatchSource = batches
    return judged(measure(FakeSession(script, clock.sleep), source, SMOKE.tokens_per_step, PLAN, WARM, clock=clock))


HONEST = honest_script(SMOKE)
LAST = len((scripted(HONEST).measurement or pytest.fail("nothing was measured")).steps) - 1
"""Its last step, in the last window."""
SCRIPTS: dict[str, tuple[str, Callable[[], RunRecord]]] = {
    "a recompilation mid-run": ("recompile", lambda: scripted(replace(HONEST, compiles_at=frozenset({0, LAST})))),
    "NaN": ("loss", lambda: scripted(replace(HONEST, loss=lambda step: float("nan") if step == 35 else 5.0))),
    "a loss that does not fall": ("loss", lambda: scripted(replace(HONEST, loss=lambda step: 5.5 + step % 7 / 100))),
    "slow data": ("data-wait", lambda: scripted(HONEST, batch_seconds=0.01)),
    "a drifting step time": ("steady", lambda: scripted(replace(HONEST, step_seconds=lambda step: 0.01 * 1.01**step))),
    "work faster than any processor": ("below-peak", lambda: scripted(replace(HONEST, step_seconds=lambda step: 5e-5))),
    "bf16 posing as fp32": ("precision", lambda: scripted(_saying(operand_fraction_bits=7))),
    "tf32 posing as fp32": ("precision", lambda: scripted(_saying(operand_fraction_bits=10))),
    "a hidden fallback": ("device", lambda: scripted(_saying(device_type="meta"))),
    "operations that ran elsewhere": ("device", lambda: scripted(_saying(elsewhere="on the CPU: aten::sort (3)"))),
    "eager in place of compiled": ("as-recipe", lambda: scripted(_saying(fallback="eager: no compiler"))),
}


def _saying(**changes: str | int) -> Script:
    return replace(HONEST, description={**HONEST.description, **changes})


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_sabotaged_session_is_caught_by_its_gate(name: str) -> None:
    gate, record = SCRIPTS[name]
    assert gate in failed(record())
    assert gate not in failed(scripted(HONEST))
