"""Workers that answer at once with runs that keep their rank: the reference's losses, and a pace that varies."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Literal

import numpy as np

from backends.fake import FakeClock, FakeSession, Script
from bench.measure import measure
from bench.plan import MeasurePlan
from bench.process import WorkerEnd
from bench.worker import Job
from results.record import Measurement, StartUp
from workloads.data import Batch
from workloads.references import find_trajectory
from workloads.spec import Workload

NOTHING = np.zeros((1, 1), np.int32)


def made_up_worker(
    deviation: float, wall_seconds: float = 1.0, step: float = 1.0, loss: Callable[[int], float] | None = None
) -> Callable[..., WorkerEnd]:
    """In place of `bench.campaign.run_worker`: the runs of a case are slower, faster, as fast, and so on, by so much.

    Each case begins elsewhere in that order, so that ratios vary too, and by how much is the same every time. ``step``:
    of all steps, in tenths of a second; ``loss``: instead of an honest one.
    """
    turns: dict[tuple[str, str], Iterator[int]] = {}

    def run_worker(job: str, *_: object) -> WorkerEnd:
        asked = Job.model_validate_json(job)
        turn = next(turns.setdefault((asked.backend, asked.recipe.name), count(len(turns))))
        found = _measured(
            asked.workload, asked.plan, asked.cache, step * math.exp(deviation * (1, -1, 0)[turn % 3]), loss
        )
        return WorkerEnd(status="ok", reason="", measurement=found, stderr_tail="", wall_seconds=wall_seconds)

    return run_worker


@cache
def _measured(
    workload: Workload,
    plan: MeasurePlan,
    state: Literal["cold", "warm"],
    pace: float,
    loss: Callable[[int], float] | None = None,
) -> Measurement:
    clock = FakeClock()
    script = honest_script(workload, pace)
    session = FakeSession(replace(script, loss=loss or script.loss), clock.sleep)
    start_up = StartUp(cache=state, import_seconds=0.1, open_seconds=0.1, first_step_seconds=0.0)
    return measure(session, _batch, workload.tokens_per_step, plan, start_up, clock=clock)


def _batch(step: int) -> Batch:
    return Batch(step, NOTHING, NOTHING)


def honest_script(workload: Workload, pace: float = 1.0) -> Script:
    """A session that no gate has anything against: 100 ms a step at pace 1, losses that fall from the reference's."""
    trajectory = find_trajectory(workload)
    losses = trajectory.losses if trajectory else [5.5 * 0.98**step for step in range(20)]
    return Script(
        step_seconds=lambda step: 0.1 * pace,
        loss=lambda step: losses[step] if step < len(losses) else losses[-1] * 0.999 ** (step - len(losses)),
        description={"device_type": "cpu", "operand_fraction_bits": 23, "accumulation_exact": True},
    )
