"""X W^T in torch by one of several kernels: its matrix product, or convolutions of width 1, which are the same sums.

On a CPU they are two libraries: torch gives float32 products to the BLAS that it was built with (MKL, OpenBLAS) and
convolutions to oneDNN, and which is faster depends on the processor (docs/performance.md).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from workloads.models.opaque_torch import opaque

Operation = Callable[[Tensor, Tensor], Tensor]

TALL, PART = 4096, 512
"""Rows of a weight from which on its gradient is convolved in parts of so many, which saves memory and is up to 1.5
times as fast (the head of `llama-124m`, docs/performance.md)."""


def _convolved(x: Tensor, weight: Tensor) -> Tensor:
    return _rows(F.conv2d(_picture(x), weight[:, :, None, None]), x)


def _convolved_back(gradient: Tensor, weight: Tensor) -> Tensor:
    return _rows(F.conv_transpose2d(_picture(gradient), weight[:, :, None, None]), gradient)


def _convolved_weight(gradient: Tensor, x: Tensor) -> Tensor:
    outputs, picture = gradient.shape[-1], _picture(x)
    if outputs < TALL:
        return _convolved_part(gradient, picture)
    whole = x.new_empty(outputs, x.shape[-1])
    for rows, part in zip(whole.split(PART), gradient.split(PART, dim=-1), strict=True):
        rows.copy_(_convolved_part(part, picture))
    return whole


def _convolved_part(gradient: Tensor, picture: Tensor) -> Tensor:
    """What `torch.nn.grad.conv2d_weight` computes, which fills a weight of that shape first."""
    shape_only = gradient.new_empty(gradient.shape[-1], picture.shape[1], 1, 1)
    settings = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1, [False, True, False])
    _, of_weight, _ = torch.ops.aten.convolution_backward(_picture(gradient), picture, shape_only, None, *settings)
    return of_weight.flatten(1)


def _multiplied_weight(gradient: Tensor, x: Tensor) -> Tensor:
    return gradient.flatten(0, -2).t() @ x.flatten(0, -2)


def _picture(rows: Tensor) -> Tensor:
    """(..., C) as one picture of C channels, a pixel a row, all side by side; no copy of a contiguous tensor.

    One below the other they are slower: a gradient of the weights took up to 1.6 times as long.
    """
    return rows.reshape(1, 1, -1, rows.shape[-1]).permute(0, 3, 1, 2)


def _rows(picture: Tensor, like: Tensor) -> Tensor:
    """(1, C, 1, N) -> (..., C), contiguous, with the leading axes of ``like``."""
    return picture.permute(0, 2, 3, 1).reshape(*like.shape[:-1], picture.shape[1])


def _define(name: str, compute: Operation, shape: Callable[[Tensor, Tensor], tuple[int, ...]]) -> Operation:
    """Opaque to torch.compile, which would copy a convolution's operands and result; ``shape`` is the result's."""
    return opaque(name, "Tensor left, Tensor right", compute, lambda left, right: left.new_empty(shape(left, right)))


def _product(name: str, of_weight: Operation) -> Operation:
    """X W^T by convolution, whose gradient of the weight is computed so: a sum over the tokens, G^T X."""

    def gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight = ctx.needs_input_grad
        return (
            convolved_back(gradient, weight) if wants_x else None,
            of_weight(gradient, x) if wants_weight else None,
        )

    operation = _define(name, _convolved, lambda x, weight: (*x.shape[:-1], weight.shape[0]))
    torch.library.register_autograd(f"fairchip::{name}", gradients, setup_context=_keep)
    return operation


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


convolved_back = _define("convolved_back", _convolved_back, lambda gradient, w: (*gradient.shape[:-1], w.shape[1]))
"""G W, (..., O) and (O, I) -> (..., I): the transposed convolution."""
convolved_weight = _define("convolved_weight", _convolved_weight, lambda gradient, x: (gradient.shape[-1], x.shape[-1]))
"""G^T X, (..., O) and (..., I) -> (O, I): what a convolution's weights get."""
convolved = _product("convolved", _multiplied_weight)
"""X W^T, (..., I) and (O, I) -> (..., O); the weight's gradient by the matrix product."""
convolved_throughout = _product("convolved_throughout", convolved_weight)
"""Likewise, the weight's gradient as a convolution's."""

PRODUCT_KERNELS = {"matmul": F.linear, "convolution": convolved, "convolution-throughout": convolved_throughout}
"""By the name that a recipe gives; each takes (..., I) and (O, I) of one type, and has gradients of both."""
