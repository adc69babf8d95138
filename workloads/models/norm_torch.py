"""The root-mean-square norm in torch, with the gradient of its weight, a sum over the tokens, taken as memory lies."""

from typing import Any

import torch
from torch import Tensor

from workloads.models.row_sum_torch import sum_of_rows


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """In the weight's type, which is the master type: (..., D) and (D) -> (..., D)."""
    x = x.to(weight.dtype)
    normed: Tensor = _Weighted.apply(x * torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon), weight)
    return normed


class _Weighted(torch.autograd.Function):
    """x (..., D) times a weight (D)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x * weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        return gradient * weight, sum_of_rows((gradient * x).flatten(0, -2))
