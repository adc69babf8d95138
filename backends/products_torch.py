"""The products of a torch session: in which type and by which kernel they are computed, and what they really keep."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from backends.contract import Scalar
from backends.product_choice import MOST_TOKENS, TOKENS, best_seconds, chosen_kernel, multiply_in_master
from backends.recipe import Recipe
from workloads.models.llama_torch import Numerics
from workloads.models.product_torch import PRODUCT_KERNELS
from workloads.precision import POLICIES
from workloads.shapes import product_shapes
from workloads.spec import Model, Workload


def chosen_numerics(workload: Workload, recipe: Recipe, device: torch.device) -> Numerics:
    """The policy's types; wider products, and another kernel, where the recipe allows them and they are faster here.

    Blocks while it measures, which it does only for what the recipe leaves open.
    """
    own = Numerics.of(POLICIES[workload.precision], recipe.attention)
    wide = replace(own, operands=own.master)
    if own != wide and multiply_in_master(recipe, *(_product(one, workload.model, device) for one in (own, wide))):
        own = wide
    sequences = recipe.micro_batch or workload.global_batch
    tokens = min(MOST_TOKENS, sequences * workload.sequence_length)
    kernel = chosen_kernel(recipe, partial(_seconds_by_kernel, own, workload.model, tokens, device))
    return replace(own, product_kernel=kernel)


def _product(numerics: Numerics, model: Model, device: torch.device) -> partial[None]:
    """One product of the model's width and that of its feed-forward layer."""
    operands = _random((TOKENS, model.dim), numerics, device), _random((model.ffn_dim, model.dim), numerics, device)

    def compute(x: Tensor, weight: Tensor) -> None:
        numerics.linear(x, weight).sum().item()

    return partial(compute, *operands)


def _seconds_by_kernel(numerics: Numerics, model: Model, tokens: int, device: torch.device) -> dict[str, float]:
    """Of all products of the model, each with both its gradients; the kernels take turns.

    Narrow operands leave one: torch gives their products to the library of its convolutions, which then gain
    nothing in a step (docs/performance.md).
    """
    if numerics.operands != numerics.master:
        return {"matmul": 0.0}
    seconds = dict.fromkeys(PRODUCT_KERNELS, 0.0)
    for shape, count in product_shapes(model).items():
        weight, x = (
            _random(sides, numerics, device).to(numerics.operands).requires_grad_()
            for sides in (shape, (tokens, shape[1]))
        )
        products = [partial(_forward_backward, product, x, weight) for product in PRODUCT_KERNELS.values()]
        for kernel, taken in zip(PRODUCT_KERNELS, best_seconds(*products), strict=True):
            seconds[kernel] += count * taken
    return seconds


def _forward_backward(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, weight: Tensor) -> None:
    result = product(x, weight)
    _, of_weight = torch.autograd.grad(result, (x, weight), result.detach())
    of_weight[0, 0].item()


def _random(shape: tuple[int, ...], numerics: Numerics, device: torch.device) -> Tensor:
    return torch.rand(shape, dtype=numerics.master, device=device)


def probe_products(numerics: Numerics, device: torch.device) -> dict[str, Scalar]:
    """What the device does with a matrix product: fraction bits that operands keep, and exact accumulation.

    A diagonal of 1 + 2^-k survives a product with the identity only if operands keep k fraction bits. A
    sum of 2^16 ones is exact only if partial sums are wider than bfloat16, which stops at 256.
    """
    identity = torch.eye(64, dtype=numerics.master)

    def product(left: Tensor, right: Tensor) -> Tensor:
        """Computed on the device, looked at on the host, whose own arithmetic is beyond doubt."""
        operands = (value.to(device).to(numerics.operands) for value in (left, right))
        return numerics.product(*operands).cpu()

    def survives(bits: int) -> bool:
        return bool((product(identity * (1 + 2.0**-bits), identity).diagonal() != 1).all())

    ones = torch.ones(64, 2**16, dtype=numerics.master)
    kept = max((bits for bits in (52, 23, 10, 7) if survives(bits)), default=0)
    return {"operand_fraction_bits": kept, "accumulation_exact": bool((product(ones, ones) == 2**16).all())}
