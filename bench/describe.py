"""The parts of a record that are known before a run: its case, plan and reference."""

import math
from dataclasses import asdict

from bench.environment import masked
from bench.plan import Case, MeasurePlan
from results.record import Case as RecordedCase
from results.record import Plan, Reference
from workloads.flops import flops_per_token
from workloads.parameters import parameter_count
from workloads.precision import POLICIES
from workloads.references import find_trajectory, tolerance
from workloads.spec import Model, Workload, canonical


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
