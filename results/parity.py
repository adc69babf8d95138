"""Loss trajectories held against each other, where no float64 reference exists."""

import math
from collections.abc import Sequence

from results.record import RunRecord

PARITY_STEPS = 20
"""Steps compared: as many as a reference has."""

MUTUAL_PARITY = {"fp32": 2e-5, "bf16-mixed": 1e-2, "fp64": 1e-10, "bf16-emulated": 1e-10}
"""Largest relative difference of two loss trajectories, by precision policy."""


Envelope = Sequence[tuple[float, float]]
"""The smallest and the largest loss of several runs at each step; infinite where one is not a number."""


def confirmed_by_another(cases: Sequence[Sequence[RunRecord]]) -> list[bool]:
    """Of each case without a reference: whether another of the same work tracks its runs, step by step."""
    waiting = [any(record.reference is None for record in case) for case in cases]
    works = [case[0].case.digest for case in cases]
    wanted = {work for work, waits in zip(works, waiting, strict=True) if waits}
    envelopes = [envelope(case) if work in wanted else () for case, work in zip(cases, works, strict=True)]

    def tracked(one: int) -> bool:
        limit = MUTUAL_PARITY[cases[one][0].case.precision]
        others = (other for other, work in enumerate(works) if work == works[one] and other != one)
        return any(parity_gap(envelopes[one], envelopes[other]) <= limit for other in others)

    return [waits and tracked(one) for one, waits in enumerate(waiting)]


def envelope(records: Sequence[RunRecord]) -> Envelope:
    """Of the measured runs over their first steps; a step that none of them reached is not in it."""
    timed = [r.measurement for r in records if r.provenance == "measured" and r.measurement and r.measurement.windows]
    reached = ([run.steps[step].loss for run in timed if step < len(run.steps)] for step in range(PARITY_STEPS))
    numbers = ([math.inf if loss is None else loss for loss in losses] for losses in reached if losses)
    return [(min(losses), max(losses)) for losses in numbers]


def parity_gap(ours: Envelope, theirs: Envelope) -> float:
    """Largest relative loss difference over the first steps of any runs of two cases; inf without any.

    No pair of runs is further apart than two ends, since a cross-entropy, and so a true loss, is above zero.
    """
    pairs = ((one, true) for mine, other in zip(ours, theirs, strict=False) for one in mine for true in other)
    return max((_apart(one, true) for one, true in pairs), default=math.inf)


def _apart(one: float, true: float) -> float:
    return abs(one - true) / true if 0 < true < math.inf else math.inf
