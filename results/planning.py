"""How many runs a target precision takes: Stein's first stage, and what a suite will take in time."""

import math
from collections.abc import Iterable, Sequence

from results.compare import group_cases, throughput_ratio
from results.record import RunRecord
from results.stats import Interval
from results.summary import CaseSummary

MOST_RUNS = 100
"""No target takes more; what cannot be had is said."""


def runs_needed(pilot: Interval, half_width: float) -> int | None:
    """Runs after which an interval is no wider than the target, the pilot's among them; None without an interval.

    Stein, A two-sample test for a linear hypothesis whose power is independent of the variance (1945): with the
    pilot's n, deviation s and quantile t, (t s / half width)^2, which is n (its own half-width / half width)^2.
    """
    if pilot.half_width is None:
        return None
    return max(pilot.runs, math.ceil(pilot.runs * (pilot.half_width / half_width) ** 2 - 1e-9))


def targets(records: Sequence[RunRecord]) -> dict[str, Interval]:
    """What a target is about, by name: each case against the first of its workload, or a case that is alone."""
    by_work: dict[str, list[CaseSummary]] = {}
    for case in group_cases({"": records}):
        by_work.setdefault(case.first.case.digest, []).append(case)
    return {name: interval for cases in by_work.values() for name, interval in _targets(cases)}


def _targets(cases: Sequence[CaseSummary]) -> Iterable[tuple[str, Interval]]:
    first, *others = cases
    name = first.first.case.workload
    if not others and first.throughput is not None:
        yield f"{name} on {first.label}", first.throughput
    for other in others:
        if first.ranked and other.ranked:
            yield f"{name}: {other.label} against {first.label}", throughput_ratio(other, first)
