"""From what was asked and how it ended to the record of a run."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from backends.registry import availability, load_backend
from bench.achievable import remembered
from bench.environment import CACHE_MARK, masked, with_variables
from bench.plan import Case, MeasurePlan
from bench.privacy import scrubbed, scrubbed_record
from bench.process import WorkerEnd
from bench.schedule import Campaign, Turn
from results.gates import evaluate
from results.record import Case as RecordedCase
from results.record import Place, Plan, Reference, RunRecord
from workloads.flops import flops_per_token
from workloads.precision import POLICIES
from workloads.references import find_trajectory, tolerance
from workloads.shapes import parameter_count
from workloads.spec import Model, Workload, canonical


def record_run(campaign: Campaign, turn: Turn, suite_id: str, created: datetime, end: WorkerEnd) -> RunRecord:
    """The record of a run that ended so, naming nobody, judged by every gate."""
    try:
        record = _raw_record(campaign, turn, suite_id, created, end)
    except ValidationError as error:  # each part was valid, but together they contradict each other
        refused = replace(end, status="failed", reason=f"not a possible run: {_first(error)}", measurement=None)
        record = _raw_record(campaign, turn, suite_id, created, refused)
    record = scrubbed_record(record)
    return record.model_copy(update={"gates": evaluate(record)})


def _first(error: ValidationError) -> str:
    return error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")


def _raw_record(campaign: Campaign, turn: Turn, suite_id: str, created: datetime, end: WorkerEnd) -> RunRecord:
    case = turn.case
    return RunRecord(
        schema_version=1,
        run_id=uuid.uuid4().hex,
        created_at=created.isoformat(timespec="milliseconds"),
        provenance="simulated" if getattr(load_backend(case.backend), "simulated", False) else "measured",
        status=end.status,
        reason=scrubbed(end.reason),
        place=_place(campaign, turn, suite_id),
        case=record_case(case),
        plan=record_plan(turn.plan(campaign)),
        reference=record_reference(case.workload),
        measurement=end.measurement,
        host_samples=end.host_samples,
        device_samples=end.device_samples,
        wall_seconds=end.wall_seconds,
        environment=with_variables(campaign.environment, _shown_variables(case)),
        achievable=remembered(case, campaign.environment),
        stderr_tail=end.stderr_tail,
        gates=(),
    )


def _place(campaign: Campaign, turn: Turn, suite_id: str) -> Place:
    return Place(
        suite=campaign.suite,
        suite_id=suite_id,
        role=turn.role,
        round=turn.round,
        order=turn.order,
        case_index=campaign.cases.index(turn.case),
        runs_planned=campaign.runs,
        pilot_runs=campaign.pilot_runs,
        target_half_width=campaign.target_half_width,
    )


def recipe_variables(case: Case, cache: Path) -> Mapping[str, str]:
    """What the backend wants set before the worker's interpreter starts. A plug-in may raise anything."""
    return dict(load_backend(case.backend).environment(case.recipe, cache))


def _shown_variables(case: Case) -> Mapping[str, str]:
    """The same for a record, where a mark stands for the folder of the compile caches; none if nothing ran."""
    if not availability(case.backend).available:
        return {}
    try:
        return recipe_variables(case, Path(CACHE_MARK))
    except Exception:  # a plug-in that raises here has failed its run, which says so
        return {}


def record_case(case: Case) -> RecordedCase:
    """The case as a record holds it, self-contained."""
    workload, policy = case.workload, POLICIES[case.workload.precision]
    return RecordedCase(
        workload=workload.name,
        digest=workload.digest,
        specification=canonical(workload),
        backend=case.backend,
        device_type=case.device_type,
        recipe=asdict(case.recipe) | {"environment": masked(case.recipe.environment)},
        world_size=case.world_size,
        devices_per_chip=case.devices_per_chip,
        tokens_per_step=workload.tokens_per_step,
        parameters=parameter_count(workload.model),
        flops_per_token=flops_per_token(workload),
        precision=workload.precision,
        peak_dtype=policy.peak_dtype,
        operand_fraction_bits=policy.operand_fraction_bits,
        expected_first_loss=expected_first_loss(workload.model),
    )


def record_plan(plan: MeasurePlan) -> Plan:
    """The plan as a record holds it."""
    return Plan(**asdict(plan))


def record_reference(workload: Workload) -> Reference | None:
    """The float64 trajectory with the tolerance of this workload's precision, if there is one."""
    trajectory = find_trajectory(workload)
    if trajectory is None:
        return None
    limit, derivation = tolerance(trajectory, workload.precision)
    return Reference(losses=trajectory.losses, relative_tolerance=limit, derivation=derivation)


def expected_first_loss(model: Model) -> float:
    """ln(vocabulary) plus half the variance of the initial logits, in nats.

    A normed stream has mean square 1, so a logit has variance dim x init_std^2; the mean of
    ln(sum of exp) over normal logits is higher by half of that.
    """
    return math.log(model.vocab_size) + model.dim * model.init_std**2 / 2
