"""AdamW as torch-xla likes it: state made before the first step, and the step's scalars in one tensor of the device.

`torch.optim.AdamW` makes its state in the first step, so that the second one is another graph, and its learning rate
is a number of the graph wherever it is 0 or 1. Here every step is the same graph.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch_xla.core.xla_model as xm
from torch import Tensor

from backends.torch_sharding import Groups, Whole

BUCKET_MIB = 50
"""Of gradients that travel together; torch-xla itself takes as much on Neuron (ALLREDUCE_GRADIENTS_BUCKET_SIZE_MB)."""


class AdamW(torch.optim.Optimizer):
    """Each group's ``scalars`` must be set before a step: learning rate and the two bias corrections, (3)."""

    def __init__(self, groups: Groups, *, betas: tuple[float, float], eps: float) -> None:
        super().__init__(groups, {"betas": betas, "eps": eps, "weight_decay": 0.0, "scalars": None})
        for parameter in (parameter for group in self.param_groups for parameter in group["params"]):
            zeros = torch.zeros_like(parameter, requires_grad=False)
            self.state[parameter] = {"first": zeros, "second": zeros.clone()}

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """One update of every parameter, in place."""
        for group in self.param_groups:
            rate, correction1, correction2 = group["scalars"].unbind()
            size, root = rate / correction1, correction2.sqrt()
            keep = 1 - rate * group["weight_decay"]
            for parameter in group["params"]:
                self._update(parameter, group, size, root, keep)

    def _update(self, parameter: Tensor, group: dict[str, Any], size: Tensor, root: Tensor, keep: Tensor) -> None:
        first, second = self.state[parameter]["first"], self.state[parameter]["second"]
        beta1, beta2 = group["betas"]
        first.lerp_(parameter.grad, 1 - beta1)
        second.mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
        if group["weight_decay"]:
            parameter.mul_(keep)
        parameter.sub_(size * first / (second.sqrt() / root + group["eps"]))


class Summed(Whole):
    """Each process holds everything; gradients are summed by torch-xla's own all-reduce."""

    def reduce(self, gradients: Sequence[Tensor]) -> None:
        """Sum over processes, in place."""
        if self.processes > 1:
            xm.all_reduce_bucketized_gradients(
                list(gradients), scale=1.0, groups=None, pin_layout=False, bucket_cap_mb=BUCKET_MIB
            )
