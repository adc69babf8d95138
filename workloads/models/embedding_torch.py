"""The look-up of embeddings in torch, whose gradient on a CPU is always taken by torch's own kernel.

torch.compile would let its threads add to the table in the order in which they come: two runs of the same step would
differ in their last bits, and within some steps in their losses.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from workloads.models.opaque_torch import opaque


def embedded(tokens: Tensor, table: Tensor) -> Tensor:
    """Integer tokens (...) and a table (V, D) -> (..., D), of the table's type."""
    looked_up: Tensor = _InOrder.apply(tokens, table) if table.device.type == "cpu" else F.embedding(tokens, table)
    return looked_up


class _InOrder(torch.autograd.Function):
    """Each row of the table has its gradients added in the order of the tokens."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, table: Tensor) -> Tensor:
        ctx.rows = table.shape[0]
        ctx.save_for_backward(tokens)
        return F.embedding(tokens, table)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        (tokens,) = ctx.saved_tensors
        return None, _of_table(gradient, tokens, ctx.rows)


def _added(gradient: Tensor, tokens: Tensor, rows: int) -> Tensor:
    return torch.ops.aten.embedding_dense_backward(gradient, tokens, rows, -1, False)


def _unset(gradient: Tensor, tokens: Tensor, rows: int) -> Tensor:
    return gradient.new_empty(rows, gradient.shape[-1])


_of_table = opaque("embedding_gradient", "Tensor gradient, Tensor tokens, int rows", _added, _unset)
