"""What a training step needs of a device's memory at the least, so that what cannot fit is refused before it starts.

A lower bound on purpose: parameters, gradients and AdamW's two moments, and what the backward pass cannot do
without. A plan that passes may still run out of memory, which is then a recorded result.
"""

from dataclasses import dataclass

from backends.errors import OutOfMemory
from backends.recipe import Recipe
from workloads.precision import POLICIES
from workloads.shapes import parameter_count
from workloads.spec import Workload

GIB = 2**30
_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPlan:
    """Bytes on each device, at the least."""

    parameters: int
    gradients: int
    optimizer_state: int
    activations: int
    """What every layer hands to the next, kept for the backward pass."""
    scores: int
    """Over the vocabulary, of the tokens that are scored at a time."""

    @property
    def total(self) -> int:
        """All of it; scores and gradients do exist at one time."""
        return self.parameters + self.gradients + self.optimizer_state + self.activations + self.scores

    def arithmetic(self) -> str:
        """The sum, in GiB."""
        terms = {
            "parameters": self.parameters,
            "gradients": self.gradients,
            "AdamW moments": self.optimizer_state,
            "activations between layers": self.activations,
            "scores": self.scores,
        }
        return " + ".join(f"{name} {size / GIB:.1f}" for name, size in terms.items()) + f" = {self.total / GIB:.1f} GiB"


def plan_memory(workload: Workload, recipe: Recipe, devices: int = 1) -> MemoryPlan:
    """The least that each of so many devices must hold; the recipe is resolved."""
    policy, model = POLICIES[workload.precision], workload.model
    master = _BYTES[policy.master]
    weights = parameter_count(model) * master
    sequences = recipe.micro_batch or workload.global_batch // devices
    tokens = sequences * workload.sequence_length
    scored = min(tokens, recipe.loss_part_tokens or tokens)
    of_all = devices if recipe.sharding == "all" else 1
    of_state = devices if recipe.sharding in ("all", "optimizer") else 1
    return MemoryPlan(
        parameters=weights // of_all,
        gradients=weights // of_all,
        optimizer_state=2 * weights // of_state,
        activations=tokens * model.dim * model.layers * _BYTES[policy.operands],
        scores=scored * model.vocab_size * _BYTES[policy.operands],
    )


def refuse_what_cannot_fit(workload: Workload, recipe: Recipe, devices: int, memory_bytes: int | None) -> None:
    """Nothing where the memory of one device is unknown.

    Raises:
        OutOfMemory: it cannot fit; the message is the arithmetic.
    """
    plan = plan_memory(workload, recipe, devices)
    if memory_bytes is not None and plan.total > memory_bytes:
        each = f"each of {devices} devices" if devices > 1 else "the device"
        raise OutOfMemory(
            f"{workload.name} needs at least {plan.arithmetic()} on {each}, which has {memory_bytes / GIB:.1f} GiB",
            'share more out (sharding = "all"), use more devices, or a smaller micro_batch or loss_part_tokens',
        )
