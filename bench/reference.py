"""Makes a workload's reference trajectory: float64 in torch and in jax, which must agree, and emulated bf16."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backends.contract import Rank, StepLoss
from backends.recipe import Recipe, resolve
from backends.registry import load_backend
from bench.errors import UsageError
from workloads.data import batch_source
from workloads.references import AGREEMENT, STEPS, reference_path
from workloads.spec import Precision, Workload


def make_reference(workload: Workload) -> Path:
    """Compute and write the trajectory; blocks for about 60 steps of the workload in float64.

    Raises:
        UsageError: torch and jax disagree.
        BackendError: torch or jax cannot run here.
    """
    torch64 = trajectory("torch-cpu", workload, "fp64")
    jax64 = trajectory("jax-cpu", workload, "fp64")
    apart = largest_deviation(jax64, torch64)
    if apart > AGREEMENT:
        raise UsageError(f"{workload.name}: torch and jax part by {apart:.1e} in float64", "this is a bug: report it")
    emulated = trajectory("torch-cpu", workload, "bf16-emulated")
    content = {
        "workload": workload.name,
        "digest": workload.trajectory_digest,
        "made_by": "fairchip reference: float64, torch-cpu; jax-cpu agrees",
        "agreement": apart,
        "bf16_deviation": largest_deviation(emulated, torch64),
        "losses": [step.loss for step in torch64],
        "gradient_norms": [step.gradient_norm for step in torch64],
    }
    path = reference_path(workload)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def trajectory(backend: str, workload: Workload, precision: Precision, steps: int = STEPS) -> Sequence[StepLoss]:
    """Losses and gradient norms of the first steps; in this process, compiled only where that is quick."""
    asked = replace(workload, precision=precision)
    recipe = resolve(Recipe(name="reference", compile="whole" if backend.startswith("jax") else "off"), asked)
    batches = batch_source(asked)
    with load_backend(backend).open(asked, recipe, Rank()) as session:
        for step in range(steps):
            session.step(batches(step))
        return session.losses()


def largest_deviation(ours: Sequence[StepLoss], true: Sequence[StepLoss]) -> float:
    """Largest relative difference of the losses, step by step."""
    return max(abs(one.loss - other.loss) / abs(other.loss) for one, other in zip(ours, true, strict=True))
