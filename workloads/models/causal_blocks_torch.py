"""Causal attention in torch as products of blocks: some queries at a time with the keys up to them.

Up to nearly half of the work is left out, and the products go to torch's library of matrix products. Short sequences
keep the weights for the backward pass. Their number grows with the square of the positions, so long sequences compute
them again from the logarithm of their sum, as fused kernels do (Dao et al., FlashAttention, arXiv 2205.14135, algorithm
4), but as keys by queries: then no block of scores has to be transposed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from workloads.causal_blocks import causal_blocks
from workloads.models.future_torch import future

SMALLEST_BLOCK = 128
"""Queries, of a long sequence; with half as many `llama-124m` needs more memory in float32 and is no faster."""
SMALLEST_BLOCK_BYTES = 256
"""Of one key's scores, where the weights are kept: 128 queries in bfloat16, 64 in float32. Half as many are slower in
bfloat16, twice as many in float32 (docs/performance.md)."""
LONGEST_KEPT = 1024
"""Bytes of one query's weights up to which they are kept: 512 positions in bfloat16, 256 in float32. With twice as many
in float32 `llama-124m` needs a tenth more memory and is hardly faster (docs/performance.md)."""


def blocked_attention(q: Tensor, k: Tensor, v: Tensor, master: torch.dtype) -> Tensor:
    """Causal attention of one type, its softmax in the master type: (B, H, T, W), (B, K, T, W) twice -> (B, H, T, W).

    The query heads that share a key head are more rows of the same products. The result lies as (B, T, H, W): what
    multiplies it next takes a token's heads as one row, and what it reads there is kept for the backward pass once.
    """
    blocks = _Kept if _is_short(q) else _Recomputed
    mixed: Tensor = blocks.apply(q, k, v, master)
    return mixed


class _Kept(torch.autograd.Function):
    """q (B, H, T, W), k and v (B, K, T, W) -> (B, H, T, W)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, master: torch.dtype) -> Tensor:
        mixed, weights, _, totals = zip(*_forward(q, k, v, master), strict=True)
        whole = _joined(mixed, q)
        ctx.master = master
        ctx.save_for_backward(q, k, v, whole, *weights, *totals)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, whole, *kept = ctx.saved_tensors
        groups, of_q, of_k, of_v = _groups(q, k), [], [], []
        for rows, weights, total in _blocks(q, kept):
            keys, values = _seen(k, rows), _seen(v, rows)
            queries, mixed, outer = (_queries(x, rows, groups) for x in (q, whole, gradient))
            outer = (outer.to(ctx.master) / total).to(q.dtype)  # divided in place of the weights, which are more
            of_weights = (outer @ values.mT).to(ctx.master)
            of_sum = (outer.to(ctx.master) * mixed.to(ctx.master)).sum(-1, keepdim=True)
            of_scores = (weights.to(ctx.master) * (of_weights - of_sum) * _scale(q)).to(q.dtype)
            of_q.append(of_scores @ keys)
            of_k.append(of_scores.mT @ queries)
            of_v.append(weights.mT @ outer)
        return _joined(of_q, q), _summed(of_k, k, ctx.master), _summed(of_v, v, ctx.master), None


class _Recomputed(torch.autograd.Function):
    """The same, in memory that grows with the positions alone."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, master: torch.dtype) -> Tensor:
        mixed, _, largest, totals = zip(*_forward(q, k, v, master), strict=True)
        log_sums = [most + total.log() for most, total in zip(largest, totals, strict=True)]
        whole = _joined(mixed, q)
        ctx.master = master
        ctx.save_for_backward(q, k, v, whole, *log_sums)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, whole, *kept = ctx.saved_tensors
        groups, of_q, of_k, of_v = _groups(q, k), [], [], []
        for rows, log_sum in _blocks(q, kept):
            keys, values = _seen(k, rows), _seen(v, rows)
            queries, mixed, outer = (_queries(x, rows, groups) for x in (q, whole, gradient))
            later = future(rows, groups, ctx.master, q.device, turned=True)
            scores = (keys @ queries.mT).to(ctx.master) * _scale(q) + later
            weights = (scores - log_sum.mT).exp()
            of_weights = (values @ outer.mT).to(ctx.master)
            of_sum = (outer.to(ctx.master) * mixed.to(ctx.master)).sum(-1)[:, None]
            of_scores = (weights * (of_weights - of_sum) * _scale(q)).to(q.dtype)
            of_q.append((keys.mT @ of_scores).mT)
            of_k.append(of_scores @ queries)
            of_v.append(weights.to(v.dtype) @ outer)
        return _joined(of_q, q), _summed(of_k, k, ctx.master), _summed(of_v, v, ctx.master), None


def _forward(q: Tensor, k: Tensor, v: Tensor, master: torch.dtype) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Of each block what it mixes, (N, G R, W), and its weights before they are divided, (N, G R, S).

    Then of each of its queries, (N, G R, 1), the largest score and the sum of the weights. N is sequences times key
    heads, G the query heads of each.
    """
    groups, found = _groups(q, k), []
    for rows in _rows(q):
        later = future(rows, groups, master, q.device)
        scores = (_queries(q, rows, groups) @ _seen(k, rows).mT).to(master) * _scale(q) + later
        largest = scores.amax(-1, keepdim=True)
        weights = (scores - largest).exp()
        total = weights.sum(-1, keepdim=True)
        weights = weights.to(v.dtype)
        mixed = ((weights @ _seen(v, rows)).to(master) / total).to(v.dtype)
        found.append((mixed, weights, largest, total))
    return found


def _blocks(q: Tensor, kept: Sequence[Tensor]) -> Iterator[tuple[Any, ...]]:
    """The rows of each block, and what was kept of it."""
    rows = _rows(q)
    return zip(rows, *(kept[first : first + len(rows)] for first in range(0, len(kept), len(rows))), strict=True)


def _rows(q: Tensor) -> list[slice]:
    """The queries of each block."""
    return causal_blocks(q.shape[2], SMALLEST_BLOCK_BYTES // q.element_size() if _is_short(q) else SMALLEST_BLOCK)


def _is_short(q: Tensor) -> bool:
    """Whether the weights are kept."""
    return q.shape[2] * q.element_size() <= LONGEST_KEPT


def _groups(q: Tensor, k: Tensor) -> int:
    """Query heads that share a key head."""
    return q.shape[1] // k.shape[1]


def _queries(x: Tensor, rows: slice, groups: int) -> Tensor:
    """(B, H, T, W) -> (N, G R, W)."""
    return x[:, :, rows].unflatten(1, (-1, groups)).flatten(0, 1).flatten(1, 2)


def _seen(x: Tensor, rows: slice) -> Tensor:
    """Of keys or values, (B, K, T, W), those up to the last of the queries: (N, S, W)."""
    return x[:, :, : rows.stop].flatten(0, 1)


def _scale(q: Tensor) -> float:
    """Of the scores, not of the queries: those would be rounded once more."""
    return float(q.shape[-1] ** -0.5)


def _joined(parts: Sequence[Tensor], like: Tensor) -> Tensor:
    """Parts of the positions, (N, G R, W) each, as (B, H, T, W) like another, lying as (B, T, H, W)."""
    tokens = [part.reshape(*like.shape[:2], -1, like.shape[-1]).transpose(1, 2) for part in parts]
    return torch.cat(tokens, dim=1).transpose(1, 2)


def _summed(parts: Sequence[Tensor], k: Tensor, master: torch.dtype) -> Tensor:
    """What each block of queries adds to the keys up to its end, (N, S, W) of growing S, as one sum like k.

    Each piece is rounded before they are joined, so that torch.compile writes no joint one in the master type.
    """
    ends = [part.shape[1] for part in parts]
    pieces = [part.to(master).tensor_split(ends[:place], dim=1) for place, part in enumerate(parts)]
    sums = [sum(part[place] for part in pieces[place:]) for place in range(len(parts))]
    return _joined([piece.to(k.dtype) for piece in sums], k)
