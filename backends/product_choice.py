"""How a session multiplies matrices, where its recipe leaves that to the device: the type, and the kernel."""

import time
from collections.abc import Callable, Mapping

from backends.recipe import Recipe

TOKENS = 512
"""Rows of the product that decides on the type; its other sides are the model's width and its feed-forward layer's."""
MOST_TOKENS = 2048
"""Rows of the products that decide on the kernel, if a pass has more: a few are too cheap beside their set-up."""
WORTH = 1.2
"""The master type is taken if it is so many times as fast: no run may differ from the next for a hair's breadth."""
KERNEL_WORTH = 1.03
"""Likewise the kernel, which changes no type. On one processor, from call to call, 1.02 to 1.09 for a model whose step
convolutions make faster, 0.94 to 1.05 for a smaller one whose step they make slower (docs/performance.md)."""
_TRIES = 3
_LEAST_SECONDS, _ENOUGH_SECONDS = 0.1, 1.0


def multiply_in_master(recipe: Recipe, of_operands: Callable[[], None], of_master: Callable[[], None]) -> bool:
    """Whether products are computed in the master type, which keeps more than the policy asks for.

    Each callable computes one product of fresh random operands and returns when it is done. Blocks for a few of each,
    and only if the recipe asks for the fastest.
    """
    if recipe.products == "fastest":
        operands, master = best_seconds(of_operands, of_master)
        return operands > WORTH * master
    return recipe.products == "master"


def chosen_kernel(recipe: Recipe, measure: Callable[[], Mapping[str, float]]) -> str:
    """The recipe's kernel, or another than the first that is measured if that is clearly quicker.

    ``measure`` gives each kernel's seconds on the model's products; called only if the recipe asks for the fastest.
    """
    if recipe.product_kernel != "fastest":
        return recipe.product_kernel
    seconds = measure()
    first, quickest = next(iter(seconds)), min(seconds, key=seconds.__getitem__)
    return quickest if seconds[first] > KERNEL_WORTH * seconds[quickest] else first


def best_seconds(*products: Callable[[], None]) -> list[float]:
    """Least seconds of each; after one call that warms up they take turns, a few times or, if they are short, often."""
    for product in products:
        product()
    rounds: list[list[float]] = []
    spent = 0.0
    while spent < (_ENOUGH_SECONDS if len(rounds) < _TRIES else _LEAST_SECONDS):
        rounds.append([_seconds(product) for product in products])
        spent += sum(rounds[-1])
    return [min(calls) for calls in zip(*rounds, strict=True)]


def _seconds(product: Callable[[], None]) -> float:
    began = time.perf_counter()
    product()
    return time.perf_counter() - began
