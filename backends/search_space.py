"""What `fairchip tune` may try: values of a recipe's fields that change no mathematics, most promising field first.

A backend offers it as ``search_space(workload) -> SearchSpace``, which is no part of `Backend`: it may be missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from workloads.spec import Workload

SearchSpace = Mapping[str, Sequence[Any]]
"""Field of `Recipe` -> values to try; each is tried alone, on top of the best recipe that the fields before it left."""

PARTS_TOKENS = (8192, 2048, 512)
MOST_MICRO_BATCHES = 6


def part_sizes(workload: Workload) -> list[int | None]:
    """Tokens whose scores are held at a time: all, or fewer than a step has."""
    return [None, *(tokens for tokens in PARTS_TOKENS if tokens < workload.tokens_per_step)]


def micro_batch_sizes(workload: Workload) -> list[int]:
    """Tokens of a pass: one sequence's, and doubled as often as a step has them."""
    doubled = (workload.sequence_length * 2**power for power in range(MOST_MICRO_BATCHES))
    return [tokens for tokens in doubled if tokens <= workload.tokens_per_step]


def product_types(workload: Workload) -> list[str]:
    """Only a policy with narrow operands leaves a choice."""
    return ["fastest", "operands", "master"] if workload.precision == "bf16-mixed" else []
