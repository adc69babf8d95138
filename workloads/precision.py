"""Named precision policies: the least precision that each role of a training step may have.

A kernel may keep more. Roles that a policy does not name (activations handed from one operation to
the next, the residual stream) have at least the operands' precision.
"""

from dataclasses import dataclass
from typing import Literal

from workloads.spec import Precision

FloatType = Literal["float64", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrecisionPolicy:
    """What a step's numbers are held in."""

    master: FloatType
    """Parameters, sums of gradients, optimizer state, norms, rotary embedding, softmax, loss and gradient norm."""
    operands: FloatType
    """Operands of the matrix products, which accumulate in float32 at least."""
    rounded_to: FloatType | None = None
    """Operands and results of matrix products are rounded to this type but computed in ``operands``."""
    operand_fraction_bits: int
    """Explicit fraction bits the operands must keep: float32 23, bfloat16 7. TF32's 10 are not fp32."""
    peak_dtype: Literal["fp32", "bf16"] | None
    """The column of the peak table that this policy may be held against."""


POLICIES: dict[Precision, PrecisionPolicy] = {
    "fp64": PrecisionPolicy(master="float64", operands="float64", operand_fraction_bits=52, peak_dtype=None),
    "fp32": PrecisionPolicy(master="float32", operands="float32", operand_fraction_bits=23, peak_dtype="fp32"),
    "bf16-mixed": PrecisionPolicy(master="float32", operands="bfloat16", operand_fraction_bits=7, peak_dtype="bf16"),
    # What bf16-mixed means, computed exactly but for its roundings: for deriving tolerances, not for timing.
    "bf16-emulated": PrecisionPolicy(
        master="float64", operands="float64", rounded_to="bfloat16", operand_fraction_bits=7, peak_dtype=None
    ),
}
