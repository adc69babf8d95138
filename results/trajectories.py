"""Two loss trajectories side by side, and the step at which they part."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from results.compare import differing_fields
from results.errors import ComparisonError
from results.gates import deviations
from results.parity import MUTUAL_PARITY, PARITY_STEPS
from results.plain_text import plain
from results.record import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """The losses and gradient norms of one run's first steps, or of a float64 reference."""

    name: str
    losses: tuple[float | None, ...]
    """Nats per token; None is not a finite number."""
    gradient_norms: tuple[float | None, ...]
    """Empty where they are not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """How far two trajectories go together."""

    work: str
    ours: Trajectory
    theirs: Trajectory
    deviations: tuple[float, ...]
    """Relative difference of the losses, theirs being the measure, over the steps that both have."""
    limit: float
    basis: str
    """Where the limit comes from."""

    @property
    def worst(self) -> int:
        """The step of the largest deviation, the first of several."""
        return max(range(len(self.deviations)), key=self.deviations.__getitem__)

    @property
    def together(self) -> bool:
        """Whether they stay together over as many steps as a reference has; fewer show nothing."""
        return self.step is None and len(self.deviations) >= PARITY_STEPS

    @property
    def step(self) -> int | None:
        """The first step whose deviation is beyond the limit, or None."""
        return next((step for step, apart in enumerate(self.deviations) if apart > self.limit), None)


def part(ours: Sequence[RunRecord], theirs: Sequence[RunRecord] | None = None) -> Parting:
    """Hold a case's trajectory against another's of the same work, or against its float64 reference.

    Precision may differ, nothing else that is mathematics. The limit is the sum of what each may be off float64, or
    without a reference what two cases may be apart.

    Raises:
        ComparisonError: no losses, several cases on a side, other work, or no reference.
    """
    mine = _run("A", ours)
    if theirs is None:
        return _against_reference(mine)
    other = _run("B", theirs)
    fields = differing_fields(mine.case.specification, other.case.specification)
    if others := [name for name in fields if name != "precision"]:
        raise ComparisonError(f"other work: they differ in {', '.join(others)}", "give runs of the same workload")
    limit, basis = _limit(mine, other)
    one, two = _trajectory(mine), _trajectory(other)
    return _parting(mine, one, two, limit, basis)


def _run(side: str, records: Sequence[RunRecord]) -> RunRecord:
    """The run with the most steps of the one case that a side holds; the earliest of several."""
    stepped = [record for record in records if record.measurement and record.measurement.steps]
    if not stepped:
        raise ComparisonError(f"{side} holds no run with losses", "give a run that ended well")
    names = sorted({_name(record) for record in stepped})
    if len(names) > 1:
        raise ComparisonError(f"{side} holds {len(names)} cases: {', '.join(names)}", "give a record of one of them")
    return max(stepped, key=lambda record: len(record.measurement.steps) if record.measurement else 0)


def _name(record: RunRecord) -> str:
    case = record.case
    return f"{case.workload} {case.precision} on {case.backend} ({case.recipe.get('name')})"


def _trajectory(record: RunRecord) -> Trajectory:
    steps = record.measurement.steps[:PARITY_STEPS] if record.measurement else ()
    return Trajectory(
        name=f"{_name(record)}, {record.place.role} run {record.place.round + 1}",
        losses=tuple(step.loss for step in steps),
        gradient_norms=tuple(step.gradient_norm for step in steps),
    )


def _limit(mine: RunRecord, other: RunRecord) -> tuple[float, str]:
    if mine.reference is not None and other.reference is not None:
        allowed = mine.reference.relative_tolerance, other.reference.relative_tolerance
        return sum(allowed), f"each may be off float64, by {allowed[0]:.1e} and {allowed[1]:.1e}"
    precisions = mine.case.precision, other.case.precision
    loosest = max(precisions, key=MUTUAL_PARITY.__getitem__)
    return MUTUAL_PARITY[loosest], f"what two cases in {loosest} may be apart without a reference"


def _against_reference(mine: RunRecord) -> Parting:
    if mine.reference is None:
        raise ComparisonError(f"{_name(mine)} has no float64 reference", "give a second record to hold it against")
    truth = Trajectory(name="float64 reference", losses=tuple(mine.reference.losses), gradient_norms=())
    limit, basis = mine.reference.relative_tolerance, mine.reference.derivation
    return _parting(mine, _trajectory(mine), truth, limit, basis)


def _parting(record: RunRecord, ours: Trajectory, theirs: Trajectory, limit: float, basis: str) -> Parting:
    steps = min(len(ours.losses), len(theirs.losses))
    true = [math.nan if loss is None else loss for loss in theirs.losses[:steps]]
    apart = [math.inf if math.isnan(gap) else gap for gap in deviations(ours.losses[:steps], true)]
    case = record.case
    work = f"{case.workload}, {case.tokens_per_step:,} tokens a step, digest {case.digest[:12]}"
    return Parting(work=work, ours=ours, theirs=theirs, deviations=tuple(apart), limit=limit, basis=basis)


def parting_lines(parting: Parting) -> list[str]:
    """The two trajectories step by step, 80 columns at most but for names, and the verdict last."""
    lines = [plain(parting.work), f"A  {plain(parting.ours.name)}", f"B  {plain(parting.theirs.name)}", ""]
    lines.append(f"{'step':>4}  {'loss A':>12}  {'loss B':>12}  {'apart':>8}  {'norm A':>12}  {'norm B':>12}")
    for step, apart in enumerate(parting.deviations):
        mark = "  <- part" if step == parting.step else ""
        cells = [_cell(side.losses, step) for side in (parting.ours, parting.theirs)]
        norms = [_cell(side.gradient_norms, step) for side in (parting.ours, parting.theirs)]
        lines.append(f"{step:>4}  {cells[0]}  {cells[1]}  {apart:8.1e}  {norms[0]}  {norms[1]}{mark}")
    return [*lines, "", _verdict(parting)]


def _cell(values: Sequence[float | None], step: int) -> str:
    value = values[step] if step < len(values) else None
    return f"{'-':>12}" if value is None else f"{value:12.7g}"


def _verdict(parting: Parting) -> str:
    limit = f"limit {parting.limit:.1e}: {parting.basis}"
    if parting.step is None and not parting.together:
        return f"UNKNOWN: only {len(parting.deviations)} of {PARITY_STEPS} steps are there to be compared"
    if parting.step is None:
        steps, worst = len(parting.deviations), parting.deviations[parting.worst]
        return f"TOGETHER over {steps} steps, at most {worst:.1e} apart at step {parting.worst} ({limit})"
    return f"PART at step {parting.step}, by {parting.deviations[parting.step]:.1e} ({limit})"
