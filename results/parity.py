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
    mine, other = ([losses for record in side if (losses := _first_losses(record))] for side in (ours, theirs))
    return max((_gap(one, two) for one in mine for two in other), default=math.inf)


def _first_losses(record: RunRecord) -> tuple[float | None, ...]:
    measured = record.measurement
    if record.provenance != "measured" or measured is None or not measured.windows:
        return ()
    return tuple(step.loss for step in measured.steps[:PARITY_STEPS])


def _gap(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float:
    steps = min(len(ours), len(theirs))
    true = [loss for loss in theirs[:steps] if loss is not None]
    return max(deviations(ours[:steps], true), default=math.inf) if len(true) == steps else math.inf
