"""The torch session, the same for every device: what differs is in its `TorchDevice`.

One step: forward and backward over the micro-batches, the sum of gradients over processes, their mean, its
global norm, clipping, AdamW. Nothing in it waits for the device; `losses` does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from backends.contract import MemoryUse, Rank, Scalar, StepLoss
from backends.errors import BackendError, OutOfMemory
from backends.memory_plan import refuse_what_cannot_fit
from backends.one_pass_torch import one_pass
from backends.products_torch import chosen_numerics, probe_products
from backends.recipe import Recipe
from backends.torch_device import TorchDevice
from backends.torch_sharding import Groups, compile_parts, own
from workloads.data import Batch
from workloads.models.llama_torch import ATTENTIONS, LOSSES, Llama, chosen_kernel, loss_divisor
from workloads.parameters import initial_parameters
from workloads.schedule import step_scalars
from workloads.shapes import is_decayed
from workloads.spec import Workload

_CLIP_EPSILON = 1e-6
"""torch.nn.utils.clip_grad_norm_ adds it to the norm; the jax engine does the same."""


class TorchSession:
    """One workload on one torch device. See `backends.contract.Session`."""

    def __init__(self, workload: Workload, recipe: Recipe, device: TorchDevice | str, rank: Rank) -> None:
        """Build model and optimizer on the device; blocks, compiles nothing.

        ``device`` may be the mere type of one that torch itself drives completely ("cpu", "cuda").

        Raises:
            BackendError: an attention or loss that this engine does not implement.
            Unavailable: torch finds no such device.
            OutOfMemory: parameters, gradients and optimizer state do not fit.
        """
        self.workload, self.recipe, self.rank = workload, recipe, rank
        _refuse_unknown(recipe, rank)
        self._on = TorchDevice(device) if isinstance(device, str) else device
        self.device = self._on.take(rank)
        refuse_what_cannot_fit(workload, recipe, rank.world_size, self._on.memory_bytes())
        if recipe.threads is not None:
            torch.set_num_threads(recipe.threads)
        torch.set_float32_matmul_precision("highest")
        torch._dynamo.config.automatic_dynamic_shapes = False
        self._sharding = self._on.sharding(recipe.sharding, rank.world_size)
        self._why_eager = None if recipe.compile == "off" else self._on.why_eager()
        self._pending: list[tuple[int, Tensor, Tensor]] = []
        with self._memory_errors():
            self.model = self._build()
            self.optimizer = self._optimizer()
            if self._replays:
                for parameter in self.model.parameters():
                    parameter.grad = torch.zeros_like(parameter)
            self._loss = self._compiled()
            self._probe = probe_products(self.model.numerics, self.device)
            self._on.begin()

    def _build(self) -> Llama:
        """The model with its initial parameters, copied tensor by tensor."""
        make = partial(
            Llama,
            self.workload.model,
            self.workload.sequence_length,
            chosen_numerics(self.workload, self.recipe, self.device),
            rematerialise=self.recipe.rematerialise,
            loss=self.recipe.loss,
            loss_part_tokens=self.recipe.loss_part_tokens,
        )
        model = self._sharding.build(make, self.device)
        memory = dict(model.named_parameters())
        with torch.no_grad():
            for name, value in initial_parameters(self.workload.model, self.workload.seed):
                (held,) = own([memory.pop(name)])
                held.copy_(self._sharding.part(torch.from_numpy(value)))
        assert not memory, f"parameters without an initial value: {sorted(memory)}"
        return model

    def _optimizer(self) -> torch.optim.Optimizer:
        rule = self.workload.optimizer
        if self.recipe.update == "one-pass":
            at_once = self.recipe.micro_batch in (None, self.workload.global_batch) and self.rank.world_size == 1
            return one_pass(self.model, rule, self._compile, one_product_each=at_once)
        betas = (rule.beta1, rule.beta2)
        fused = self._on.has_fused_adamw
        return self._sharding.optimizer(
            self._groups(), lr=rule.learning_rate, betas=betas, eps=rule.epsilon, fused=fused
        )

    def _groups(self) -> Groups:
        """The parameters, those that decay apart from those that do not."""
        parameters = list(self.model.parameters())
        decay = self.workload.optimizer.weight_decay
        return [
            {"params": [p for p in parameters if is_decayed(p.shape)], "weight_decay": decay},
            {"params": [p for p in parameters if not is_decayed(p.shape)], "weight_decay": 0.0},
        ]

    @property
    def _settings(self) -> dict[str, Any]:
        """Of torch.compile: static shapes only, and no part of a graph that falls back to eager unseen."""
        return {"backend": self._on.compile_backend, "dynamic": False, "fullgraph": True}

    def _compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function compiled, or as it is where the model is not compiled either."""
        if self.recipe.compile == "off" or self._why_eager is not None:
            return function
        return torch.compile(function, **self._settings)

    def _compiled(self) -> Llama:
        """What computes the loss."""
        settings = self._settings
        if self.recipe.compile_mode != "default":
            settings["mode"] = self.recipe.compile_mode
        if self.recipe.compile == "parts" and self._why_eager is None:
            compile_parts(self.model, **settings)
        if self.recipe.compile == "whole" and self._why_eager is None:
            return torch.compile(self.model, **settings)
        return self.model

    def step(self, batch: Batch) -> None:
        """Enqueue one full optimizer step; returns before an asynchronous device is done."""
        with self._memory_errors():
            losses = [self._forward_backward(*micro_batch) for micro_batch in self._micro_batches(batch)]
            norm = self._finish(len(losses), batch.step)
        self._pending.append((batch.step, torch.stack(losses).mean() / self._of_mean, norm))

    def _micro_batches(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the batch, in pieces on the device."""
        inputs, targets = (part.to(self.device, non_blocking=True) for part in self._share(batch))
        size = self.recipe.micro_batch or len(inputs)
        return zip(inputs.split(size), targets.split(size), strict=True)

    def _share(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """This process's inputs and targets, on the host."""
        share = len(batch.inputs) // self.rank.world_size
        mine = slice(self.rank.index * share, (self.rank.index + 1) * share)
        return torch.from_numpy(batch.inputs[mine]), torch.from_numpy(batch.targets[mine])

    def _forward_backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Add this micro-batch's gradient; the loss is scaled by powers of two only, see `loss_divisor`."""
        if self._replays:
            torch.compiler.cudagraph_mark_step_begin()
        loss: Tensor = self._loss(inputs, targets)
        loss.backward()
        return loss.detach().clone() if self._replays else loss.detach()

    @property
    def _replays(self) -> bool:
        """Whether compiled code writes its results where it wrote the last ones, as CUDA graphs do.

        Then a loss is copied out, and gradients are summed in memory of their own, not kept where they were made.
        """
        return self.recipe.compile_mode in ("reduce-overhead", "max-autotune")

    @property
    def _of_mean(self) -> float:
        """What the model's loss is of a micro-batch's mean: 1 where the number of its tokens is a power of two."""
        sequences = self.recipe.micro_batch or self.workload.global_batch // self.rank.world_size
        tokens = sequences * self.workload.sequence_length
        return tokens / loss_divisor(tokens)

    def _finish(self, micro_batches: int, step: int) -> Tensor:
        """Reduce, clip and update; returns the norm before clipping."""
        norm = self._clip(micro_batches)
        self._update(step)
        return norm

    def _clip(self, micro_batches: int) -> Tensor:
        """Scale the gradients to their mean over micro-batches, limited to the clip norm; returns the mean's norm."""
        gradients, divisor, in_one_pass = self._sums(), self._divisor(micro_batches), self.recipe.update == "one-pass"
        norm = (self.optimizer.norm() if in_one_pass else self._sharding.norm(gradients)) / divisor
        scale = torch.clamp(self.workload.optimizer.clip_norm / (norm + _CLIP_EPSILON), max=1.0) / divisor
        if in_one_pass:
            self.optimizer.scale = scale
        else:
            torch._foreach_mul_(gradients, scale)
        return norm

    def gradients(self, micro_batches: int = 1) -> list[Tensor]:
        """Mean gradients over all processes' micro-batches, in parameter order and the master type; for tests."""
        divisor = self._divisor(micro_batches)
        return [gradient.to(self.model.numerics.master) / divisor for gradient in self._sums()]

    def _sums(self) -> list[Tensor]:
        """The gradients summed over processes, in place and in parameter order; each one's own share."""
        gradients = own(p.grad for p in self.model.parameters() if p.grad is not None)
        self._sharding.reduce(gradients)
        return gradients

    def _divisor(self, micro_batches: int) -> float:
        """What the sum of gradients is of their mean."""
        return micro_batches * self.rank.world_size * self._of_mean

    def _update(self, step: int) -> None:
        rate = step_scalars(self.workload.optimizer, step).learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=not self._replays)

    def sync(self) -> None:
        """Wait for everything enqueued on the device."""
        self._on.synchronize()

    def losses(self) -> Sequence[StepLoss]:
        """Read back every step since the last call; blocks until they are done."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        values = torch.stack([torch.stack(pair) for _, *pair in pending]).cpu().double().tolist()
        return [
            StepLoss(step=step, loss=loss, gradient_norm=norm)
            for (step, *_), (loss, norm) in zip(pending, values, strict=True)
        ]

    def compiled_graphs(self) -> int | None:
        """Graphs compiled so far in this process; a recompile adds to them."""
        return self._on.compiled_graphs()

    def memory(self) -> MemoryUse | None:
        """Peak of the device's allocator, or of the process where the device is the host."""
        return self._on.memory()

    def describe(self) -> Mapping[str, Scalar]:
        """What really runs."""
        first = next(self.model.parameters())
        return {
            "engine": "torch",
            "engine_version": torch.__version__,
            "device_type": first.device.type,
            **self._on.describe(),
            "master_dtype": str(first.dtype).removeprefix("torch."),
            "operand_dtype": str(self.model.numerics.operands).removeprefix("torch."),
            "product_kernel": self.model.numerics.product_kernel,
            "attention": self.model.numerics.attention,
            "attention_kernel": self._attention_kernel(),
            "loss": self.recipe.loss,
            "compile": "off" if self._why_eager else self.recipe.compile,
            "compile_mode": self.recipe.compile_mode,
            "fallback": self._why_eager,
            "elsewhere": self._on.ran_elsewhere(),
            "optimizer": self._optimizer_name(),
            "sharding": self.recipe.sharding,
            "devices": self.rank.world_size,
            "host_threads": torch.get_num_threads(),
            **self._probe,
        }

    def _optimizer_name(self) -> str:
        if self.recipe.update == "one-pass":
            return "AdamW in one pass"
        return f"torch.optim.AdamW(fused={self._on.has_fused_adamw})"

    def _attention_kernel(self) -> str | None:
        """The kernel that torch chooses for tensors like the step's; None where it does not tell."""
        numerics, model = self.model.numerics, self.workload.model
        if numerics.attention in ("product", "causal-blocks") or not self._on.tells_attention:
            return None
        kernel_type = numerics.master if numerics.attention == "sdpa-master" else numerics.operands
        shape = (1, self.workload.sequence_length, model.head_width)
        q, k, v = (
            torch.empty(1, heads, *shape[1:], dtype=kernel_type, device=self.device, requires_grad=True)
            for heads in (model.heads, model.kv_heads, model.kv_heads)
        )
        try:
            return chosen_kernel(q, k, v, model.heads // model.kv_heads, numerics.attention)
        except (RuntimeError, NotImplementedError, ValueError):
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop model and compiled code, so that a second session in this process starts clean."""
        del self.model, self.optimizer, self._loss
        torch.compiler.reset()
        self._on.close()

    @contextmanager
    def _memory_errors(self) -> Iterator[None]:
        """Turns the device's ways of running out of memory into `OutOfMemory`."""
        try:
            yield
        except Exception as error:
            if not self._on.is_out_of_memory(error):
                raise
            first_line = (str(error).splitlines() or ["out of memory"])[0]
            raise OutOfMemory(first_line, "use a smaller micro_batch in the recipe, or rematerialise") from error


def _refuse_unknown(recipe: Recipe, rank: Rank) -> None:
    for kind, asked, known in (("attention", recipe.attention, ATTENTIONS), ("loss", recipe.loss, LOSSES)):
        if asked not in known:
            raise BackendError(f"torch has no {kind} {asked!r}", f"known: {', '.join(known)}")
    if recipe.layers != "unrolled":
        raise BackendError(f"torch has no layers {recipe.layers!r}", "leave it out: only jax loops over layers")
    if recipe.compile == "off" and recipe.compile_mode != "default":
        raise BackendError("torch: compile_mode without compile", "set compile = 'whole' or 'parts'")
    if recipe.update == "one-pass" and recipe.sharding != "none" and rank.world_size > 1:
        fault = f"update = 'one-pass' needs whole parameters and state, which sharding = {recipe.sharding!r} shares out"
        raise BackendError(f"torch: {fault}", "leave update out, or set sharding = 'none'")
    if recipe.compile == "whole" and recipe.loss_part_tokens is not None:
        fault = "loss_part_tokens cuts the model, which compile = 'whole' wants in one piece"
        raise BackendError(f"torch: {fault}", "set compile = 'parts'")
    if recipe.compile == "whole" and recipe.sharding == "all" and rank.world_size > 1:
        fault = "sharding = 'all' works between layers, which compile = 'whole' wants in one piece"
        raise BackendError(f"torch: {fault}", "set compile = 'parts'")
