"""The products of a jax session: in which type they are computed, and what they really keep."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backends.contract import Scalar
from backends.product_choice import TOKENS, multiply_in_master
from backends.recipe import Recipe
from workloads.models import llama_jax
from workloads.models.llama_jax import Numerics
from workloads.precision import POLICIES
from workloads.spec import Workload


def chosen_numerics(workload: Workload, recipe: Recipe, device: Any) -> Numerics:
    """The policy's types; wider products where the recipe allows them and they are faster on this device.

    Blocks while it measures, which it does only if the recipe leaves the type open.
    """
    own = Numerics.of(POLICIES[workload.precision], recipe.attention)
    wide = replace(own, operands=own.master)
    if own == wide:
        return own
    shape, draw = workload.model, np.random.default_rng(0).random
    x, weight = (
        jax.device_put(draw(sides, np.float32).astype(own.master), device)
        for sides in ((TOKENS, shape.dim), (shape.ffn_dim, shape.dim))
    )

    def product(numerics: Numerics) -> Callable[[], None]:
        compiled = jax.jit(partial(llama_jax.product, numerics))
        return lambda: jax.block_until_ready(compiled(x, weight))

    return wide if multiply_in_master(recipe, product(own), product(wide)) else own


def probe_products(numerics: Numerics, device: Any) -> dict[str, Scalar]:
    """What the device does with a matrix product: see the torch engine's twin."""
    identity = jax.device_put(np.eye(64, dtype=numerics.master), device)
    product = jax.jit(partial(llama_jax.product, numerics))

    def survives(bits: int) -> bool:
        return bool((jnp.diagonal(product(identity * (1 + 2.0**-bits), identity)) != 1).all())

    ones = jax.device_put(np.ones((64, 2**16), dtype=numerics.master), device)
    kept = max((bits for bits in (52, 23, 10, 7) if survives(bits)), default=0)
    return {"operand_fraction_bits": kept, "accumulation_exact": bool((product(ones, ones) == 2**16).all())}
