"""Causal attention in jax as products of blocks: the twin of causal_blocks_torch, which says why.

No block of scores is transposed for a product: XLA's library for CPUs is about half as fast then.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name

from workloads.causal_blocks import causal_blocks

SMALLEST_BLOCK = 64
"""Queries; of more XLA's products of many small matrices are slower."""
ATTENTION = "attention"
"""Name of its result and of what its backward pass keeps beside, see rematerialise_jax."""


def blocked_attention(q: Array, k: Array, v: Array, master: jnp.dtype) -> Array:
    """Causal attention of one type, its softmax in the master type: (B, T, H, W), (B, T, K, W) twice -> (B, T, H, W).

    The query heads that share a key head are more rows of the same products.
    """
    batch, positions, key_heads, width = k.shape
    k, v = (jnp.moveaxis(part, 2, 1).reshape(-1, positions, width) for part in (k, v))
    q = jnp.moveaxis(q * width**-0.5, 2, 1).reshape(batch * key_heads, -1, positions, width)
    mixed = _blocks(master, q, k, v)
    return jnp.moveaxis(mixed.reshape(batch, -1, positions, width), 1, 2)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _blocks(master: jnp.dtype, q: Array, k: Array, v: Array) -> Array:
    """Scaled q (N, G, T, W), k and v (N, T, W) -> (N, G, T, W); N sequences times key heads, G query heads of each."""
    return _forward(master, q, k, v)[0]


def _forward(master: jnp.dtype, q: Array, k: Array, v: Array) -> tuple[Array, Any]:
    mixed, log_sums = [], []
    for rows in causal_blocks(q.shape[2], SMALLEST_BLOCK):
        seen = slice(0, rows.stop)
        scores = _product(_rows(q, rows), k[:, seen].mT).astype(master)
        scores = jnp.where(_past(q, rows), scores, -jnp.inf)
        largest = scores.max(-1, keepdims=True)
        weights = jnp.exp(scores - largest)
        total = weights.sum(-1, keepdims=True)
        own = (_product(weights.astype(v.dtype), v[:, seen]).astype(master) / total).astype(v.dtype)
        mixed.append(checkpoint_name(own, ATTENTION))
        log_sums.append(checkpoint_name(largest + jnp.log(total), ATTENTION))
    return _joined(mixed, q.shape[1]), (q, k, v, mixed, log_sums)


def _backward(master: jnp.dtype, kept: Any, gradient: Array) -> tuple[Array, Array, Array]:
    q, k, v, mixed, log_sums = kept
    of_q, of_k, of_v = [], [], []
    for rows, own, log_sum in zip(causal_blocks(q.shape[2], SMALLEST_BLOCK), mixed, log_sums, strict=True):
        seen = slice(0, rows.stop)
        queries, outer = _rows(q, rows), _rows(gradient, rows)
        scores = _product(k[:, seen], queries.mT).astype(master)
        weights = jnp.where(_past(q, rows).T, jnp.exp(scores - log_sum.mT), 0)
        of_weights = _product(v[:, seen], outer.mT).astype(master)
        of_sum = (outer.astype(master) * own.astype(master)).sum(-1)[:, None]
        of_scores = (weights * (of_weights - of_sum)).astype(q.dtype)
        of_q.append(_product(k[:, seen].mT, of_scores).mT)
        of_k.append(_product(of_scores, queries))
        of_v.append(_product(weights.astype(v.dtype), outer))
    return _joined(of_q, q.shape[1]), *(_summed(parts, master).astype(q.dtype) for parts in (of_k, of_v))


_blocks.defvjp(_forward, _backward)


def _product(left: Array, right: Array) -> Array:
    """(N, A, B) and (N, B, C) -> (N, A, C), at full precision of the operands' type."""
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)


def _rows(q: Array, rows: slice) -> Array:
    """(N, G, T, W) -> (N, G R, W)."""
    return q[:, :, rows].reshape(q.shape[0], -1, q.shape[-1])


def _past(q: Array, rows: slice) -> Array:
    """(G R, S) for a block of queries: whether a key is no later than a query."""
    return jnp.tile(jnp.tri(rows.stop - rows.start, rows.stop, rows.start, dtype=bool), (q.shape[1], 1))


def _joined(parts: Sequence[Array], groups: int) -> Array:
    """Blocks of queries, (N, G R, W) each, as (N, G, T, W)."""
    split = [part.reshape(part.shape[0], groups, -1, part.shape[-1]) for part in parts]
    return jnp.concatenate(split, axis=2)


def _summed(parts: Sequence[Array], master: jnp.dtype) -> Array:
    """What each block of queries adds to the keys up to its end, (N, S, W) of growing S, as one sum (N, T, W)."""
    ends = [part.shape[1] for part in parts]
    pieces = [jnp.split(part.astype(master), ends[:place], axis=1) for place, part in enumerate(parts)]
    return jnp.concatenate([sum(part[place] for part in pieces[place:]) for place in range(len(parts))], axis=1)
