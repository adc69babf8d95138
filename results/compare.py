"""Comparisons: cases of equal digest, their cost ratio with its interval, and a verdict.

Only measured, ranked runs enter. Ratios of cost are formed under the same purchase model; on one
machine the price cancels.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from typing import Any, Literal

from results.costs import PricedCase
from results.errors import ComparisonError
from results.parity import MUTUAL_PARITY, confirmed_by_another, parity_gap
from results.prices import PriceObservation
from results.record import RunRecord
from results.stats import FEWEST_RUNS, Interval, host_ratio, paired_ratio, stands_for_hosts, welch_ratio
from results.summary import CaseSummary, Turn, case_key, machines, pilot_first, summarise

DEFAULT_MARGIN = 0.02
"""Cost differences below this share are not worth a decision."""

HOST_ALLOWANCE = 0.03
"""By which the interval is widened at both ends where hosts differ and a side has only one of its type.

One host does not say how much hosts of its type differ, so the claim is about these machines. The allowance carries it
to others where that is a standard deviation of up to 1 %, since 1.96 sqrt(2) 1 % = 2.8 %. They may differ by more (8 %
on average among GPUs of one model in a cluster: Sinha et al., SC22); then only several hosts a side can tell.
"""

Verdict = Literal["better", "worse", "equal", "undecided", "none"]
CheckOutcome = Literal["held", "broken", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One case held against the baseline."""

    case: str
    baseline: str
    basis: str
    """Under which price: "same machine, the price cancels", or a purchase model."""
    cost_ratio: Interval | None
    """Cost per token of the case over the baseline's; below 1 the case is cheaper."""
    margin: float
    """The share by which the interval had to clear 1."""
    verdict: Verdict
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedDay:
    """What a comparison would have said on a day."""

    day: date
    baseline: PriceObservation
    case: PriceObservation
    cost_ratio: Interval
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """At which price two cases on different machines tie, and when in the price history the verdict flipped."""

    case: str
    baseline: str
    price_ratio: Interval
    """Price of the case's machine over the baseline's at which their tokens cost the same; holds under any price."""
    flips: Mapping[str, tuple[PricedDay, ...]]
    """By purchase model: the first day on which both had a price, and each on which the verdict changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What became of one threshold that the reader set, for one case: results/thresholds.py."""

    threshold: str
    case: str | None
    """None: no other side has the baseline's case."""
    baseline: str
    outcome: CheckOutcome
    ratio: Interval | None
    """Of the threshold's metric, case over baseline."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """All cases of one workload."""

    workload: str
    digest: str
    tokens_per_step: int
    parameters: int
    precision: str
    cases: tuple[PricedCase, ...]
    comparisons: tuple[Comparison, ...]
    circumstances: tuple[str, ...] = ()
    """What else the compared cases differ in."""
    break_evens: tuple["BreakEven", ...] = ()
    """At which prices the compared cases of different machines tie."""
    checks: tuple[Check, ...] = ()
    """What became of the reader's thresholds."""


def group_cases(sides: Mapping[str, Sequence[RunRecord]]) -> list[CaseSummary]:
    """Cases of each named side, in the order of their suites; with one side, labels carry no side.

    Where there is no reference, a case is confirmed by another of the same work that tracks it.
    """
    groups: dict[tuple[str, ...], list[RunRecord]] = {}
    for side, records in sides.items():
        for record in sorted(records, key=lambda record: (record.place.case_index, record.created_at)):
            groups.setdefault((side, *case_key(record)), []).append(record)
    labels = _labels(groups, len(sides) > 1)
    confirmed = confirmed_by_another(list(groups.values()))
    return [
        summarise(label, records, parity_confirmed=tracked)
        for label, records, tracked in zip(labels, groups.values(), confirmed, strict=True)
    ]


def _labels(groups: Mapping[tuple[str, ...], Sequence[RunRecord]], several_sides: bool) -> list[str]:
    """Side, backend, recipe and hosts if several; numbered where two cases of one workload would read the same."""
    seen: Counter[tuple[str, str]] = Counter()
    labels: list[str] = []
    for (side, *_), records in groups.items():
        first = records[0]
        label = (f"{side}: " if several_sides else "") + _name(records)
        seen[first.case.digest, label] += 1
        count = seen[first.case.digest, label]
        labels.append(label if count == 1 else f"{label} #{count}")
    return labels


def _name(records: Sequence[RunRecord]) -> str:
    case, hosts = records[0].case, len(machines(records))
    recipe = case.recipe.get("name", "as-is")
    devices = f" x {case.world_size}" if case.world_size > 1 else ""
    return (
        case.backend
        + devices
        + ("" if recipe == "as-is" else f" ({recipe})")
        + (f" on {hosts} hosts" if hosts > 1 else "")
    )


def require_comparable(sides: Mapping[str, Sequence[RunRecord]]) -> None:
    """Refuse two sides that share no workload, or that share runs.

    Raises:
        ComparisonError: names the sides, and the fields in which their first workloads differ.
    """
    for (first, ours), (second, theirs) in combinations(sides.items(), 2):
        if {record.case.digest for record in ours}.isdisjoint(record.case.digest for record in theirs):
            fields = ", ".join(differing_fields(ours[0].case.specification, theirs[0].case.specification))
            raise ComparisonError(
                f"{first} and {second} hold different work ({ours[0].case.workload}, {theirs[0].case.workload}): "
                f"they differ in {fields}",
                "compare runs of the same workload (equal digests)",
            )
        if {record.run_id for record in ours} & {record.run_id for record in theirs}:
            raise ComparisonError(f"{first} and {second} share runs", "a run says nothing about itself: measure twice")


def differing_fields(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of the fields in which two canonical workloads differ, sorted."""
    names: list[str] = []
    for key in sorted(one.keys() | other.keys()):
        mine, theirs = one.get(key), other.get(key)
        if isinstance(mine, Mapping) and isinstance(theirs, Mapping):
            names += differing_fields(mine, theirs, f"{prefix}{key}.")
        elif mine != theirs:
            names.append(prefix + key)
    return names


def compare(baseline: PricedCase, case: PricedCase, margin: float = DEFAULT_MARGIN) -> list[Comparison]:
    """The case against the baseline: one comparison on one machine, else one for each matched purchase model."""
    reason = why_not_comparable(baseline.summary, case.summary)
    if reason is not None:
        return [_without_verdict(baseline, case, margin, "no verdict", f"no verdict: {reason}")]
    slower = equal_price_ratio(baseline.summary, case.summary)
    if on_one_machine(baseline.summary, case.summary):
        return [_judge(baseline, case, "same machine, the price cancels", slower, margin)]
    matched = sorted(baseline.usd_per_hour.keys() & case.usd_per_hour.keys())
    if not matched:
        faster = throughput_ratio(case.summary, baseline.summary)
        ends = "" if faster.low is None or faster.high is None else f" [{faster.low:.3f}, {faster.high:.3f}]"
        why = f"{faster.estimate:.3f} times{ends} the tokens per second; no purchase model prices both sides"
        return [_without_verdict(baseline, case, margin, "no matched price", why)]
    return [
        _judge(baseline, case, model, slower.times(case.usd_per_hour[model] / baseline.usd_per_hour[model]), margin)
        for model in matched
    ]


def _with_kinds(basis: str, baseline: PricedCase, case: PricedCase) -> str:
    """The purchase model, and how far its two prices are to be believed where they are not both published ones."""
    if basis not in case.costs or basis not in baseline.costs or basis == "user":
        return basis
    kinds = case.costs[basis].price.kind, baseline.costs[basis].price.kind
    return basis if set(kinds) == {"list"} else f"{basis}, {' against '.join(kinds)}"


def equal_price_ratio(baseline: CaseSummary, case: CaseSummary) -> Interval:
    """Cost per token of the case over the baseline's if both machines cost the same, with the allowance for hosts."""
    slower = throughput_ratio(baseline, case)
    if on_one_machine(baseline, case) or slower.unit == "hosts":
        return slower
    return slower.widened(1 + HOST_ALLOWANCE)


def throughput_ratio(ours: CaseSummary, theirs: CaseSummary) -> Interval:
    """Tokens/s of ours over theirs: paired over common rounds where they took turns throughout, else Welch.

    Welch takes the means of hosts where each side has several, else the runs.
    """
    mine, other = ours.turns, theirs.turns
    common = sorted(mine.keys() & other.keys())
    if {sitting for sitting, _ in mine} == {sitting for sitting, _ in other} and len(common) >= FEWEST_RUNS:
        ordered, pilot = pilot_first(mine[key] for key in common)
        turns = [other[turn.round] for turn in ordered]
        return paired_ratio(_logs(ordered), _logs(turns), pilot)
    hosts = [*ours.logs_by_host.values()], [*theirs.logs_by_host.values()]
    if all(map(stands_for_hosts, hosts)):
        return host_ratio(*hosts)
    (mine_first, pilot), (other_first, others_pilot) = (pilot_first(side.values()) for side in (mine, other))
    return welch_ratio(_logs(mine_first), _logs(other_first), (pilot, others_pilot))


def _logs(turns: Iterable[Turn]) -> list[float]:
    return [turn.log for turn in turns]


def why_not_comparable(ours: CaseSummary, theirs: CaseSummary) -> str | None:
    """Why no verdict can be given about two cases, or None."""
    for side in (ours, theirs):
        if side.first.provenance != "measured":
            return f"{side.label} is {side.first.provenance}"
        if not side.ranked:
            return f"{side.label} has no ranked run"
    if ours.first.case.backend != theirs.first.case.backend and is_tuned(ours) != is_tuned(theirs):
        tuned, other = (ours, theirs) if is_tuned(ours) else (theirs, ours)
        return f"{tuned.label} was tuned and {other.label} was not: that compares effort, not devices"
    if all(record.reference is not None for side in (ours, theirs) for record in side.ranked):
        return None
    gap, limit = parity_gap(ours.envelope, theirs.envelope), MUTUAL_PARITY[ours.first.case.precision]
    return None if gap <= limit else f"the two loss trajectories part by {gap:.1e}, limit {limit:.0e}"


def is_tuned(case: CaseSummary) -> bool:
    """Whether a search found the recipe."""
    return case.first.case.recipe.get("track") == "tuned"


def on_one_machine(ours: CaseSummary, theirs: CaseSummary) -> bool:
    """Whether both were measured on the same machine, so that its price cancels."""
    return ours.logs_by_host.keys() == theirs.logs_by_host.keys()


def _judge(baseline: PricedCase, case: PricedCase, basis: str, ratio: Interval, margin: float) -> Comparison:
    verdict = judge(ratio, margin)
    return Comparison(
        case=case.summary.label,
        baseline=baseline.summary.label,
        basis=basis,
        cost_ratio=ratio,
        margin=margin,
        verdict=verdict,
        sentence=_sentence(baseline.summary, case.summary, _with_kinds(basis, baseline, case), ratio, verdict, margin),
    )


def judge(cost_ratio: Interval, margin: float) -> Verdict:
    """What the interval of a cost ratio says about a difference larger than the margin; "none" without an interval."""
    if cost_ratio.low is None or cost_ratio.high is None:
        return "none"
    if cost_ratio.high < 1 - margin:
        return "better"
    if cost_ratio.low > 1 + margin:
        return "worse"
    if cost_ratio.low >= 1 - margin and cost_ratio.high <= 1 + margin:
        return "equal"
    return "undecided"


def _sentence(
    baseline: CaseSummary, case: CaseSummary, basis: str, ratio: Interval, verdict: Verdict, margin: float
) -> str:
    if ratio.low is None or ratio.high is None:
        times = f"{case.label} against {baseline.label}: cost ratio {ratio.estimate:.3f}"
        if ratio.pilot is not None and ratio.pilot < FEWEST_RUNS <= ratio.runs:
            return f"{times}; no verdict: only {ratio.pilot} rounds of the pilot, which tells the noise, are ranked"
        return f"{times}; no verdict under {FEWEST_RUNS} runs a side ({ratio.runs} here)"
    head = (
        f"a token on {case.label} costs {ratio.estimate:.3f} times [{ratio.low:.3f}, {ratio.high:.3f}] "
        f"what it costs on {baseline.label}"
    )
    said = {
        "better": "",
        "worse": "",
        "equal": f": equal within {margin:.0%}",
        "undecided": f": not decided at {margin:.0%}; {_what_decides(ratio, margin)}",
        "none": "",
    }[verdict]
    planned = "" if ratio.pilot is None else f" planned by a pilot of {ratio.pilot}"
    how = f"{basis}; {ratio.method}, {ratio.runs} {ratio.unit}{planned}"
    return f"{head} ({how}){said}{_caveat(baseline, case, ratio)}{_interim(baseline, case)}"


def _caveat(baseline: CaseSummary, case: CaseSummary, ratio: Interval) -> str:
    """What the interval does not cover."""
    if on_one_machine(baseline, case):
        took_turns = ratio.method == "paired t over rounds"
        return "" if took_turns else "; they did not take turns, so a change of the machine in between counts as theirs"
    if ratio.unit == "hosts":
        return "; about these types of machine, as far as these hosts are drawn at random from them"
    which = "these two machines" if len(baseline.logs_by_host | case.logs_by_host) == 2 else "these machines"
    return f"; about {which}, with {HOST_ALLOWANCE:.0%} allowed for others of their type"


def _interim(*cases: CaseSummary) -> str:
    """That a suite is not at its end: looking before it, and again, finds differences by chance more often."""
    rounds: dict[str, set[int]] = {}
    planned: dict[str, int] = {}
    for record in (record for case in cases for record in case.records if record.place.role == "timed"):
        suite = record.place.suite_id
        rounds.setdefault(suite, set()).add(record.place.round)
        planned[suite] = max(planned.get(suite, 0), record.place.runs_planned)
    unfinished = [f"{len(made)} of {planned[suite]}" for suite, made in rounds.items() if len(made) < planned[suite]]
    return f"; INTERIM: {', '.join(unfinished)} planned rounds are made" if unfinished else ""


def _what_decides(ratio: Interval, margin: float) -> str:
    """How many runs or hosts would narrow the interval enough, if the estimate stays; t quantiles held constant."""
    half_width, offset = ratio.half_width or 0.0, abs(math.log(ratio.estimate))
    needed = abs(offset - math.log1p(margin))
    if needed < 1e-3:
        return f"the difference is at the margin itself; no number of {ratio.unit} will tell"
    enough = max(ratio.runs + 1, math.ceil(ratio.runs * (half_width / needed) ** 2))
    return f"about {enough} {ratio.unit} a side would decide"


def _without_verdict(baseline: PricedCase, case: PricedCase, margin: float, basis: str, sentence: str) -> Comparison:
    return Comparison(
        case=case.summary.label,
        baseline=baseline.summary.label,
        basis=basis,
        cost_ratio=None,
        margin=margin,
        verdict="none",
        sentence=f"{case.summary.label} against {baseline.summary.label}: {sentence}",
    )
