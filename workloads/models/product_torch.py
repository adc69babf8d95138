"""X W^T in torch by either of two kernels: its matrix product, or a convolution of width 1, which is the same sums.

On a CPU they are two libraries: torch gives float32 products to the BLAS that it was built with (MKL, OpenBLAS) and
convolutions to oneDNN, and which is faster depends on the processor (docs/performance.md).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _convolved(x: Tensor, weight: Tensor) -> Tensor:
    return _rows(F.conv2d(_image(x), weight[:, :, None, None]), x)


def _convolved_back(gradient: Tensor, weight: Tensor) -> Tensor:
    return _rows(F.conv_transpose2d(_image(gradient), weight[:, :, None, None]), gradient)


def _image(rows: Tensor) -> Tensor:
    """(..., C) as one picture of C channels, a pixel a row; no copy of a contiguous tensor."""
    return rows.reshape(1, -1, 1, rows.shape[-1]).permute(0, 3, 1, 2)


def _rows(image: Tensor, like: Tensor) -> Tensor:
    """(1, C, N, 1) -> (..., C), contiguous, with the leading axes of ``like``."""
    return image.permute(0, 2, 3, 1).reshape(*like.shape[:-1], image.shape[1])


def _define(name: str, compute: Callable[[Tensor, Tensor], Tensor], axis: int) -> Callable[[Tensor, Tensor], Tensor]:
    """One operation to torch.compile, which would copy a convolution's operands and result.

    The result's last side is that axis of the weight. `torch.library.custom_op` would check each call, for 0.2 ms.
    """

    def shape_only(x: Tensor, weight: Tensor) -> Tensor:
        return x.new_empty(*x.shape[:-1], weight.shape[axis])

    torch.library.define(f"fairchip::{name}", "(Tensor x, Tensor weight) -> Tensor")
    torch.library.impl(f"fairchip::{name}", "default", compute)
    torch.library.register_fake(f"fairchip::{name}", shape_only)
    operation: Callable[[Tensor, Tensor], Tensor] = getattr(torch.ops.fairchip, name).default
    return operation


convolved = _define("convolved", _convolved, axis=0)
"""X W^T, (..., I) and (O, I) -> (..., O)."""
convolved_back = _define("convolved_back", _convolved_back, axis=1)
"""G W, (..., O) and (O, I) -> (..., I): the transposed convolution."""


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """The weight's sums run over the tokens: as a convolution they are slower, so they stay a matrix product."""
    x, weight = ctx.saved_tensors
    of_x, of_weight = ctx.needs_input_grad
    return (
        convolved_back(gradient, weight) if of_x else None,
        gradient.flatten(0, -2).t() @ x.flatten(0, -2) if of_weight else None,
    )


torch.library.register_autograd("fairchip::convolved", _gradients, setup_context=_keep)

PRODUCT_KERNELS = {"matmul": F.linear, "convolution": convolved}
"""By the name that a recipe gives; each takes (..., I) and (O, I) of one type, and has gradients of both."""
