"""AdamW in torch that goes through the parameters once: clipping's scale, update, and the operands of the next step.

torch's fused AdamW takes gradients of the master values' type alone, so where products have narrower operands a step
casts all weights before its products and all their gradients after them, each time through memory. Here the model
holds those weights as operands, and their gradients are read as the products leave them: the same numbers, for a cast
to the wider type is exact.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from backends.torch_sharding import total_norm
from workloads.models.llama_torch import Linear, Llama
from workloads.schedule import step_scalars
from workloads.shapes import is_decayed
from workloads.spec import Optimizer

Code = Callable[..., Any]


def one_pass(
    model: Llama, rule: Optimizer, compiled: Callable[[Code], Code], *, one_product_each: bool
) -> "OnePassAdamW":
    """For a model that holds its master values, and holds operands afterwards where ``one_product_each`` allows it.

    That is where the gradient of a product's weight is one product's in a step: a sum of several, over micro-batches
    or processes, or over parts of the loss, would be rounded to the operands' type. ``compiled`` makes faster code of
    a function, or gives it back.
    """
    products = [module for module in model.modules() if isinstance(module, Linear)] if one_product_each else []
    if model.loss_part_tokens is not None:
        products = [product for product in products if product is not model.lm_head]
    masters = _hold_operands(products)
    layers = [list(layer.parameters()) for layer in model.model.layers]
    of_layers = {parameter for layer in layers for parameter in layer}
    rest = [parameter for parameter in model.parameters() if parameter not in of_layers]
    return OnePassAdamW([*layers, rest], masters, rule, compiled)


def _hold_operands(products: Iterable[Linear]) -> dict[Tensor, Tensor]:
    """The master values by new parameter, where the types differ."""
    masters: dict[Tensor, Tensor] = {}
    for product in products:
        master = product.weight.detach()
        if master.dtype != product.numerics.operands:
            product.weight = nn.Parameter(master.to(product.numerics.operands))
            masters[product.weight] = master
    return masters


class OnePassAdamW(torch.optim.Optimizer):
    """AdamW by a workload's rule. Each group of parameters is a part of the model.

    A part is a piece of code, which parts with the same shapes share: a model's layers are compiled once. The ``lr`` of
    every group and `scale` are to be set before a step.
    """

    def __init__(
        self,
        parts: Sequence[Iterable[Tensor]],
        masters: Mapping[Tensor, Tensor],
        rule: Optimizer,
        compiled: Callable[[Code], Code],
    ) -> None:
        """Make the state, zeros; blocks, compiles nothing. ``masters``: of those parameters that are narrower."""
        super().__init__([{"params": list(part)} for part in parts], {"lr": rule.learning_rate})
        self.scale: Tensor | None = None
        """What gradients are multiplied by as they are read, a scalar of the master type."""
        self._rule, self._steps = rule, 0
        self._norm, self._update = compiled(total_norm), compiled(_update_by(rule))
        for parameter in (parameter for group in self.param_groups for parameter in group["params"]):
            master = masters.get(parameter, parameter.detach())
            zeros = torch.zeros_like(master)
            self.state[parameter] = {"master": master, "first": zeros, "second": zeros.clone()}

    def norm(self) -> Tensor:
        """L2 norm over all gradients, a scalar of the master type."""
        parts = (self._tensors(group) for group in self.param_groups)
        norms = [self._norm(gradients, masters[0].dtype) for _, gradients, masters, *_ in parts if gradients]
        return torch.linalg.vector_norm(torch.stack(norms))

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One update of every parameter that has a gradient, and of its master value, in place."""
        self._steps += 1
        for group in self.param_groups:
            self._update(*self._tensors(group), self.scale, self._scalars(group["lr"]))

    def _tensors(self, group: dict[str, Any]) -> list[list[Tensor]]:
        """Parameters, their gradients, master values and moments."""
        parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
        states = [self.state[parameter] for parameter in parameters]
        columns = [[state[name] for state in states] for name in ("master", "first", "second")]
        return [[p.detach() for p in parameters], [p.grad for p in parameters], *columns]

    def _scalars(self, rate: float) -> Tensor:
        """What differs from step to step, reckoned on the host: (3) of the master type, where the scale is."""
        assert self.scale is not None, "scale is to be set before a step"
        now = step_scalars(self._rule, self._steps - 1)
        values = (rate, rate / now.bias_correction1, math.sqrt(now.bias_correction2))
        return torch.tensor(values, dtype=self.scale.dtype).to(self.scale.device, non_blocking=True)


def _update_by(rule: Optimizer) -> Code:
    """The loop of a part: Loshchilov and Hutter (arXiv 1711.05101), algorithm 2, in the order of torch's AdamW."""

    def update(
        parameters: list[Tensor],
        gradients: list[Tensor],
        masters: list[Tensor],
        firsts: list[Tensor],
        seconds: list[Tensor],
        scale: Tensor,
        scalars: Tensor,
    ) -> None:
        """In place, of one parameter after the other; scale () and scalars (3) as `OnePassAdamW` has them."""
        rate, size, root = scalars.unbind()
        for parameter, gradient, master, first, second in zip(
            parameters, gradients, masters, firsts, seconds, strict=True
        ):
            scaled = gradient.to(master.dtype) * scale
            first.lerp_(scaled, 1 - rule.beta1)
            second.mul_(rule.beta2).addcmul_(scaled, scaled, value=1 - rule.beta2)
            if is_decayed(master.shape):
                master.mul_(1 - rate * rule.weight_decay)
            master.sub_(size * first / (second.sqrt() / root + rule.epsilon))
            if parameter.dtype != master.dtype:
                parameter.copy_(master)

    return update
