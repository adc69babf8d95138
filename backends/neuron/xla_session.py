"""The torch session on torch-xla, where operations are only recorded until a cut compiles and launches them.

One graph a micro-batch, the last with clipping and update in it. What nobody holds at a cut is never computed, and
whatever differs in shape or in a constant is compiled anew: hence the order of things here.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
import torch_xla
import torch_xla.core.xla_model as xm
from torch import Tensor, nn
from torch_xla.distributed.zero_redundancy_optimizer import ZeroRedundancyOptimizer
from torch_xla.utils.checkpoint import checkpoint

from backends.contract import Rank, Scalar, StepLoss
from backends.engine_torch import TorchSession
from backends.errors import BackendError
from backends.neuron.xla_backend import SUPPORT
from backends.neuron.xla_device import XlaDevice
from backends.neuron.xla_optimizer import AdamW
from backends.recipe import Recipe
from backends.torch_sharding import own
from workloads.data import Batch
from workloads.models.llama_torch import Llama
from workloads.schedule import step_scalars
from workloads.spec import Workload


class XlaSession(TorchSession):
    """One workload on one torch-xla device. See `backends.contract.Session`."""

    def __init__(self, workload: Workload, recipe: Recipe, device: XlaDevice | str, rank: Rank) -> None:
        """Build model, gradients and optimizer state on the device, which is then idle; blocks.

        ``device`` may be the mere name of the hardware, "NEURON".

        Raises:
            BackendError: the recipe asks for what torch-xla does not do, or does wrongly on Neuron.
            Unavailable: the hardware is not what answers, or the processes of the job are not joined.
            OutOfMemory: parameters, gradients and optimizer state do not fit.
        """
        _refuse(recipe)
        self._shares_state = recipe.sharding == "optimizer" and rank.world_size > 1
        super().__init__(workload, recipe, XlaDevice(device) if isinstance(device, str) else device, rank)
        with self._memory_errors():
            for parameter in self.model.parameters():
                parameter.grad = torch.zeros_like(parameter)  # kept: to add to nothing would be another graph
            self.sync()

    def _build(self) -> Llama:
        model = super()._build()
        model.recomputed = _recomputed
        return model

    def _optimizer(self) -> torch.optim.Optimizer:
        rule = self.workload.optimizer
        if not self._shares_state:
            return AdamW(self._groups(), betas=(rule.beta1, rule.beta2), eps=rule.epsilon)
        return ZeroRedundancyOptimizer(
            self._groups(),
            AdamW,
            optimizer_dtype=self.model.numerics.master,
            max_norm=rule.clip_norm,
            pin_layout=False,
            betas=(rule.beta1, rule.beta2),
            eps=rule.epsilon,
        )

    def _compiled(self) -> Llama:
        """The model as it is: the cuts make the graphs."""
        return self.model

    def step(self, batch: Batch) -> None:
        """Record one full optimizer step and launch it, while its loss and norm are held: dropped, they are pruned."""
        super().step(batch)
        with self._memory_errors():
            torch_xla.sync()

    def _micro_batches(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """In pieces cut on the host: each slice of a tensor of the device would be a graph of its own."""
        pieces = (part.split(self.recipe.micro_batch or len(part)) for part in self._share(batch))
        for number, (inputs, targets) in enumerate(zip(*pieces, strict=True)):
            if number:
                torch_xla.sync()
            yield inputs.to(self.device), targets.to(self.device)

    def _finish(self, micro_batches: int, step: int) -> Tensor:
        """torch-xla's ZeRO-1 does all of it in its step: the mean over processes, shares, their norm, clipping."""
        if not self._shares_state:
            return super()._finish(micro_batches, step)
        divisor = micro_batches * self._of_mean
        for gradient in own(parameter.grad for parameter in self.model.parameters()):
            gradient.div_(divisor)
        self._update(step)
        norm: Tensor = self.optimizer.grad_norm
        return norm

    def _update(self, step: int) -> None:
        """The scalars travel as one tensor: as numbers they would be part of the graph."""
        now = step_scalars(self.workload.optimizer, step)
        values = (now.learning_rate, now.bias_correction1, now.bias_correction2)
        scalars = torch.tensor(values, dtype=self.model.numerics.master).to(self.device)
        for group in self.optimizer.param_groups:
            group["scalars"] = scalars
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)

    def losses(self) -> Sequence[StepLoss]:
        """Read back every step since the last call, one by one: a stack of so many would be another graph."""
        pending, self._pending = self._pending, []
        return [StepLoss(step=step, loss=_number(loss), gradient_norm=_number(norm)) for step, loss, norm in pending]

    def describe(self) -> Mapping[str, Scalar]:
        """What really runs; the device's type is the hardware's, in small letters."""
        said = dict(super().describe())
        if said["device_type"] == "xla":
            said["device_type"] = str(xm.xla_device_hw(self.device)).lower()
        optimizer = "ZeroRedundancyOptimizer(AdamW)" if self._shares_state else "AdamW"
        return {
            **said,
            "engine": "torch-xla",
            "engine_version": torch_xla.__version__,
            "torch_version": torch.__version__,
            "optimizer": f"{optimizer}, its state made beforehand",
            "support": SUPPORT,
        }


def _recomputed(layer: nn.Module, *inputs: Tensor) -> Tensor:
    """torch-xla's own checkpoint: torch's asks for a module of random numbers that xla does not have."""
    return checkpoint(layer, *inputs, preserve_rng_state=False)


def _number(value: Tensor) -> float:
    return float(value.cpu().double())


def _refuse(recipe: Recipe) -> None:
    """What cannot be had."""
    if recipe.compile == "parts":
        raise BackendError("torch-xla has no compile = 'parts': it compiles what it recorded", "set compile = 'off'")
    if recipe.compile == "whole" and recipe.loss_part_tokens is not None:
        raise BackendError("torch-xla: loss_part_tokens cuts the model", "set compile = 'off', which compiles as well")
    if recipe.rematerialise == "between-products":
        fault = "torch-xla has no rematerialise = 'between-products': it would keep what products multiply all the same"
        raise BackendError(fault, "set true or false")
    if recipe.update != "default":
        raise BackendError("torch-xla has no other update: it compiles what it recorded", "leave update out")
    if recipe.sharding == "all":
        raise BackendError("torch-xla shares out no parameters here", "set sharding = 'optimizer'")
    if recipe.loss in ("logsumexp", "closed-form"):
        raise BackendError("on Neuron torch-xla's gather over a vocabulary gives zeros", "set loss = 'masked'")
