"""Operations that torch.compile calls as they are, instead of writing loops for what they do."""

from collections.abc import Callable

import torch
from torch import Tensor


def opaque(
    name: str, signature: str, compute: Callable[..., Tensor], shape_only: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    """``fairchip::name`` with arguments as torch.library writes them, on every device; it changes none of them.

    ``shape_only`` takes the same and gives a tensor of the result's shape, type and place, its values unset.
    `torch.library.custom_op` would check each call, for 0.2 ms.
    """
    torch.library.define(f"fairchip::{name}", f"({signature}) -> Tensor")
    torch.library.impl(f"fairchip::{name}", "default", compute)
    torch.library.register_fake(f"fairchip::{name}", shape_only)
    operation: Callable[..., Tensor] = getattr(torch.ops.fairchip, name).default
    return operation
