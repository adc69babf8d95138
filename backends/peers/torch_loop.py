"""A torch trainer as most people write it: torch.compile, autocast, clip_grad_norm_, fused AdamW."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from backends.contract import MemoryUse, Rank, Scalar, StepLoss
from backends.products_torch import probe_products
from backends.recipe import Recipe
from backends.torch_device import TorchDevice
from workloads.data import Batch
from workloads.models.llama_torch import Numerics
from workloads.parameters import initial_parameters
from workloads.precision import POLICIES
from workloads.schedule import step_scalars
from workloads.shapes import is_decayed
from workloads.spec import Model, Workload

Weights = dict[str, Tensor]


class TorchLoop(ABC):
    """One workload with a peer's model; see `backends.contract.Session`. A peer brings the model and its loss."""

    def __init__(self, workload: Workload, recipe: Recipe, device_type: str, rank: Rank) -> None:
        """Build model and optimizer; blocks, compiles nothing."""
        assert rank.world_size == 1, "a peer runs on one device"
        self.workload, self.recipe = workload, recipe
        self._on = TorchDevice(device_type)
        self.device = self._on.take(rank)
        torch.set_float32_matmul_precision("highest")
        policy = POLICIES[workload.precision]
        self._mixed = policy.operands != policy.master
        weights = {name: torch.from_numpy(value) for name, value in initial_parameters(workload.model, workload.seed)}
        with torch.device(self.device):
            self.model = self.build(workload.model, workload.sequence_length, weights)
        self.model.to(self.device).train()
        self._compiled = self.compiled(self.model)
        self.optimizer = self._optimizer()
        self._pending: list[tuple[int, Tensor, Tensor]] = []
        self._probe = probe_products(Numerics.of(policy, "sdpa"), self.device)

    @abstractmethod
    def build(self, model: Model, sequence_length: int, weights: Weights) -> nn.Module:
        """The model in float32 on the current default device, holding these initial weights (Hugging Face's names)."""

    def compiled(self, model: nn.Module) -> nn.Module:
        """The model as its users compile it."""
        return torch.compile(model)

    @abstractmethod
    def loss(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of int64 tokens (B, T) twice, in nats."""

    def _optimizer(self) -> torch.optim.Optimizer:
        rule, parameters = self.workload.optimizer, list(self.model.parameters())
        groups = [
            {"params": [p for p in parameters if is_decayed(p.shape)], "weight_decay": rule.weight_decay},
            {"params": [p for p in parameters if not is_decayed(p.shape)], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups, lr=rule.learning_rate, betas=(rule.beta1, rule.beta2), eps=rule.epsilon, fused=True
        )

    def step(self, batch: Batch) -> None:
        """Enqueue one full optimizer step; returns before an asynchronous device is done."""
        inputs, targets = (torch.from_numpy(part).to(self.device).long() for part in (batch.inputs, batch.targets))
        size = self.recipe.micro_batch or len(inputs)
        parts = list(zip(inputs.split(size), targets.split(size), strict=True))
        losses = [self._forward_backward(*part, share=len(parts)) for part in parts]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.workload.optimizer.clip_norm)
        rate = step_scalars(self.workload.optimizer, batch.step).learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._pending.append((batch.step, torch.stack(losses).sum(), norm))

    def _forward_backward(self, inputs: Tensor, targets: Tensor, share: int) -> Tensor:
        with self._autocast():
            loss = self.loss(self._compiled, inputs, targets) / share
        loss.backward()
        return loss.detach()

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self._mixed else nullcontext()

    def sync(self) -> None:
        """Wait for everything enqueued on the device."""
        self._on.synchronize()

    def losses(self) -> Sequence[StepLoss]:
        """Read back every step since the last call; blocks until they are done."""
        pending, self._pending = self._pending, []
        return [StepLoss(step=step, loss=float(loss), gradient_norm=float(norm)) for step, loss, norm in pending]

    def compiled_graphs(self) -> int | None:
        """Graphs compiled so far in this process."""
        return self._on.compiled_graphs()

    def memory(self) -> MemoryUse | None:
        """As of our own engine."""
        return self._on.memory()

    def describe(self) -> Mapping[str, Scalar]:
        """What really runs."""
        first = next(self.model.parameters())
        return {
            "engine": type(self).__name__,
            "engine_version": torch.__version__,
            "device_type": first.device.type,
            **self._on.describe(),
            "master_dtype": str(first.dtype).removeprefix("torch."),
            "fallback": None,
            "elsewhere": None,
            "optimizer": "torch.optim.AdamW(fused=True)",
            "host_threads": torch.get_num_threads(),
            **self._probe,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop model and compiled code."""
        del self.model, self.optimizer, self._compiled
        torch.compiler.reset()


def tensors_of(model: nn.Module, weights: Weights, *, tied: bool = False) -> None:
    """Copy the weights into a module whose parameters have their names; a tied head is the embedding.

    Raises:
        RuntimeError: a name or shape differs.
    """
    if tied:
        weights = weights | {"lm_head.weight": weights["model.embed_tokens.weight"]}
    model.load_state_dict(weights, strict=True)
