"""What a layer's backward pass computes again in jax, and when: not before it is needed."""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array

Weights = Any
Layer = Callable[[Array, Weights], Array]


def computed_again(layer: Layer, kept: tuple[str, ...]) -> Layer:
    """A layer of stream and weights that keeps its inputs, and its values of these names (`checkpoint_name`), alone.

    XLA forgets jax's barriers before it puts a program in order, and on a CPU orders what depends on the forward pass
    alone right behind it: then everything that was to be computed again is kept after all. So what is kept is made to
    depend on the incoming gradient, on one number of it, which several devices have to tell each other. If that number
    is not finite, no gradient of the layer is.
    """
    again = jax.checkpoint(layer, policy=jax.checkpoint_policies.save_only_these_names(*kept))
    run = jax.custom_vjp(again)

    def forward(stream: Array, weights: Weights) -> tuple[Array, Any]:
        result, pull = jax.vjp(again, stream, weights)
        given = {id(weight) for weight in jax.tree.leaves(weights)}
        where_they_lie = _only(pull, lambda leaf: id(leaf) in given)
        return result, (where_they_lie, _only(pull, lambda leaf: id(leaf) not in given))

    def backward(saved: Any, gradient: Array) -> Any:
        where_they_lie, others = saved
        zero = 0 * gradient.reshape(-1)[0]  # XLA keeps it: of an infinity it is no zero
        later = jax.tree.map(lambda value: value + zero.astype(value.dtype), others)
        pull = jax.tree.map(lambda one, other: other if one is None else one, where_they_lie, later, is_leaf=_absent)
        return pull(gradient)

    run.defvjp(forward, backward)
    return run


def _only(tree: Any, wanted: Callable[[Any], bool]) -> Any:
    """The tree with nothing in place of other leaves."""
    return jax.tree.map(lambda leaf: leaf if wanted(leaf) else None, tree)


def _absent(leaf: Any) -> bool:
    return leaf is None
