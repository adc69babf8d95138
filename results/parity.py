"""Loss trajectories held against each other, where no float64 reference exists."""

import math
from collections.abc import Iterable, Sequence

from results.gates import deviations
from results.record import RunRecord

PARITY_STEPS = 20
"""Steps compared: as many as a reference has."""

MUTUAL_PARITY = {"fp32": 2e-5, "bf16-mixed": 1e-2, "fp64": 1e-10, "bf16-emulated": 1e-10}
"""Largest relative difference of two loss trajectories, by precision policy."""


def is_confirmed(records: Sequence[RunRecord], cases: Iterable[Sequence[RunRecord]]) -> bool:
    """Whether another case of the same work tracks these runs, step by step."""
    work = records[0].case
    others = [case for case in cases if case is not records and case[0].case.digest == work.digest]
    return any(parity_gap(records, other) <= MUTUAL_PARITY[work.precision] for other in others)


def parity_gap(ours: Sequence[RunRecord], theirs: Sequence[RunRecord]) -> float:
    """Largest relative loss difference over the first steps of any measured runs of two cases; inf without any."""
    mine, other = _by_step(ours), _by_step(theirs)
    return max(map(_gap, mine, other)) if mine[0] and other[0] else math.inf


def _by_step(records: Sequence[RunRecord]) -> list[list[float | None]]:
    """The losses of each of the first steps, of the measured runs that got there."""
    timed = [r.measurement for r in records if r.provenance == "measured" and r.measurement and r.measurement.windows]
    return [[run.steps[step].loss for run in timed if step < len(run.steps)] for step in range(PARITY_STEPS)]


def _gap(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float:
    """Largest deviation at one step: a loss is furthest from the smallest or the largest, so no pairs are tried."""
    known = [loss for loss in ours if loss is not None]
    true = [loss for loss in theirs if loss is not None]
    if len(known) + len(true) < len(ours) + len(theirs):
        return math.inf
    ends = {min(known), max(known)} if known else set()
    return max((apart for end in ends for apart in deviations([end] * len(true), true)), default=0.0)
