"""Causal attention in torch as products of blocks: some queries at a time with the keys up to them.

Up to nearly half of the work is left out, and the products go to torch's library of matrix products. The backward pass
computes the weights again from the logarithm of their sum, as fused kernels do (Dao et al., FlashAttention, arXiv
2205.14135, algorithm 4), but as keys by queries: then no block of scores has to be transposed.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from workloads.causal_blocks import causal_blocks
from workloads.models.future_torch import future

SMALLEST_BLOCK = 128
"""Queries; with fewer a step is not surely faster, and needs more memory (docs/performance.md)."""


def blocked_attention(q: Tensor, k: Tensor, v: Tensor, master: torch.dtype) -> Tensor:
    """Causal attention of one type, its softmax in the master type: (B, H, T, W), (B, K, T, W) twice -> (B, H, T, W).

    The query heads that share a key head are more rows of the same products.
    """
    q = (q * q.shape[-1] ** -0.5).unflatten(1, (k.shape[1], -1)).flatten(0, 1)
    mixed: Tensor = _Blocks.apply(q, k.flatten(0, 1), v.flatten(0, 1), master)
    return mixed.unflatten(0, k.shape[:2]).flatten(1, 2)


class _Blocks(torch.autograd.Function):
    """Scaled q (N, G, T, W), k and v (N, T, W) -> (N, G, T, W); N sequences times key heads, G query heads of each."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, master: torch.dtype) -> Tensor:
        mixed, log_sums = [], []
        for rows in causal_blocks(q.shape[2], SMALLEST_BLOCK):
            seen = slice(0, rows.stop)
            queries = q[:, :, rows].flatten(1, 2)
            scores = (queries @ k[:, seen].mT).to(master) + future(q, rows, master)
            largest = scores.amax(-1, keepdim=True)
            weights = (scores - largest).exp()
            total = weights.sum(-1, keepdim=True)
            mixed.append(((weights.to(v.dtype) @ v[:, seen]).to(master) / total).to(v.dtype))
            log_sums.append(largest + total.log())
        ctx.master = master
        ctx.save_for_backward(q, k, v, *mixed, *log_sums)
        return _joined(mixed, q.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, *kept = ctx.saved_tensors
        of_q, of_k, of_v = [], [], []
        blocks = causal_blocks(q.shape[2], SMALLEST_BLOCK)
        for rows, mixed, log_sum in zip(blocks, kept[: len(blocks)], kept[len(blocks) :], strict=True):
            seen = slice(0, rows.stop)
            queries, outer = q[:, :, rows].flatten(1, 2), gradient[:, :, rows].flatten(1, 2)
            scores = (k[:, seen] @ queries.mT).to(ctx.master) + future(q, rows, ctx.master, turned=True)
            weights = (scores - log_sum.mT).exp()
            of_weights = (v[:, seen] @ outer.mT).to(ctx.master)
            of_sum = (outer.to(ctx.master) * mixed.to(ctx.master)).sum(-1)[:, None]
            of_scores = (weights * (of_weights - of_sum)).to(q.dtype)
            of_q.append((k[:, seen].mT @ of_scores).mT)
            of_k.append(of_scores @ queries)
            of_v.append(weights.to(v.dtype) @ outer)
        return _joined(of_q, q.shape[1]), *(_summed(parts, ctx.master).to(q.dtype) for parts in (of_k, of_v)), None


def _joined(parts: Sequence[Tensor], groups: int) -> Tensor:
    """Blocks of queries, (N, G R, W) each, as (N, G, T, W)."""
    return torch.cat([part.unflatten(1, (groups, -1)) for part in parts], dim=2)


def _summed(parts: Sequence[Tensor], master: torch.dtype) -> Tensor:
    """What each block of queries adds to the keys up to its end, (N, S, W) of growing S, as one sum (N, T, W)."""
    ends = [part.shape[1] for part in parts]
    pieces = [part.to(master).tensor_split(ends[:place], dim=1) for place, part in enumerate(parts)]
    return torch.cat([sum(part[place] for part in pieces[place:]) for place in range(len(parts))], dim=1)
