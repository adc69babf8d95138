"""How many runs a target precision takes, from a pilot: Stein's first stage."""

import math
from collections.abc import Iterator, Sequence

from results.compare import group_cases, throughput_ratio
from results.record import RunRecord
from results.stats import Interval
from results.summary import CaseSummary

MOST_RUNS = 100
"""No target takes more; what cannot be had is said."""


def runs_needed(pilot: Interval | None, half_width: float) -> int | None:
    """Runs after which an interval is no wider than the target, the pilot's among them; None without an interval.

    Stein, A two-sample test for a linear hypothesis whose power is independent of the variance (1945): with the
    pilot's n, deviation s and quantile t, (t s / half width)^2, which is n (its own half-width / half width)^2.
    """
    if pilot is None or pilot.half_width is None:
        return None
    return max(pilot.runs, math.ceil(pilot.runs * (pilot.half_width / half_width) ** 2 - 1e-9))


def targets(records: Sequence[RunRecord]) -> dict[str, Interval | None]:
    """What a target is about, by name: each case against the first of its workload, or a case that is alone.

    None where the pilot cannot plan it: fewer than three of its rounds have a rank, on both sides.
    """
    by_work: dict[str, list[CaseSummary]] = {}
    for case in group_cases({"": records}):
        by_work.setdefault(case.first.case.digest, []).append(case)
    return {name: interval for cases in by_work.values() for name, interval in _targets(cases)}


def _targets(cases: Sequence[CaseSummary]) -> Iterator[tuple[str, Interval | None]]:
    first, *others = cases
    name = first.first.case.workload
    if not others:
        yield f"{name} on {first.label}", first.throughput
    for other in others:
        yield f"{name}: {other.label} against {first.label}", _in_turns(other, first)


def _in_turns(case: CaseSummary, first: CaseSummary) -> Interval | None:
    """Only rounds that both took part in tell how much rounds differ, which is what the final interval is made of."""
    if not (case.ranked and first.ranked):
        return None
    ratio = throughput_ratio(case, first)
    return ratio if ratio.method == "paired t over rounds" else None
