"""In which type a session multiplies matrices, where its recipe leaves that to the device."""

import time
from collections.abc import Callable

from backends.recipe import Recipe

TOKENS = 512
"""Rows of the product that decides; its other sides are the model's width and that of its feed-forward layer."""
WORTH = 1.2
"""The master type is taken if it is so many times as fast: no run may differ from the next for a hair's breadth."""
_TRIES = 3


def multiply_in_master(recipe: Recipe, of_operands: Callable[[], None], of_master: Callable[[], None]) -> bool:
    """Whether products are computed in the master type, which keeps more than the policy asks for.

    Each callable computes one product of fresh random operands and returns when it is done. Blocks for a few of each,
    and only if the recipe asks for the fastest.
    """
    if recipe.products == "fastest":
        return best_seconds(of_operands) > WORTH * best_seconds(of_master)
    return recipe.products == "master"


def best_seconds(product: Callable[[], None]) -> float:
    """Least seconds of a few calls, after one that warms up."""
    product()
    return min(_seconds(product) for _ in range(_TRIES))


def _seconds(product: Callable[[], None]) -> float:
    began = time.perf_counter()
    product()
    return time.perf_counter() - began
