"""Reference trajectories: the float64 losses of a workload's first steps, which every run must track.

Made by ``fairchip reference WORKLOAD`` and kept in `references/`, one file a workload, named by the
digest of the workload in float64. torch and jax must agree on it before it is written.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from workloads.spec import Precision, Workload

STEPS = 20
"""Length of a trajectory: long enough that an error in the optimizer or the schedule shows."""

AGREEMENT = 1e-10
"""Largest relative difference between torch and jax in float64."""

FP32_TOLERANCE = 1e-5
"""Largest relative loss difference of an fp32 run; matrix libraries differ by up to 7e-6 over 20 steps."""

BF16_FACTOR = 4.0
"""bf16-mixed may deviate this many times as much as the emulated policy does at its worst step.

The emulation rounds operands and results of every linear layer to bfloat16 and is exact otherwise. A real
kernel rounds at the same places in another order, or at fewer, so its deviation is another draw of the same
size; the maximum over 20 steps of several draws stays within a small multiple of the first.
"""

_FOLDER = Path(__file__).parent / "references"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """The first steps of a workload in float64."""

    losses: tuple[float, ...]
    gradient_norms: tuple[float, ...]
    bf16_deviation: float
    """Largest relative loss difference of the emulated bf16-mixed policy over these steps."""


def find_trajectory(workload: Workload, folder: Path = _FOLDER) -> Trajectory | None:
    """The checked-in trajectory of a workload, whatever its precision, or None."""
    path = reference_path(workload, folder)
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return Trajectory(
        losses=tuple(content["losses"]),
        gradient_norms=tuple(content["gradient_norms"]),
        bf16_deviation=content["bf16_deviation"],
    )


def reference_path(workload: Workload, folder: Path = _FOLDER) -> Path:
    """Where a workload's trajectory is kept."""
    return folder / f"{workload.trajectory_digest[:16]}.json"


def tolerance(trajectory: Trajectory, precision: Precision) -> tuple[float, str]:
    """Largest relative loss difference allowed to a run of that precision, and how it is derived."""
    if precision == "bf16-mixed":
        limit = BF16_FACTOR * trajectory.bf16_deviation
        return (
            limit,
            f"{BF16_FACTOR:g} times the deviation {trajectory.bf16_deviation:.2e} of emulated bf16 operands",
        )
    if precision == "fp32":
        return FP32_TOLERANCE, "matrix libraries differ by up to 7e-6 over 20 steps"
    return AGREEMENT, "float64 on both sides"
