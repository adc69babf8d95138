"""The torch session, the same for every device that torch reaches by name ("cpu", "cuda", ...).

One step: forward and backward over the micro-batches, the mean gradient, its global norm, clipping,
fused AdamW. Nothing in it waits for the device; `losses` does.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from backends.contract import MemoryUse, Rank, Scalar, StepLoss
from backends.errors import BackendError, OutOfMemory, Unavailable
from backends.host import cxx_compiler, peak_resident_memory
from backends.recipe import Recipe
from workloads.data import Batch
from workloads.models.llama_torch import ATTENTIONS, Llama, Numerics
from workloads.parameters import initial_parameters
from workloads.precision import POLICIES
from workloads.schedule import step_scalars
from workloads.shapes import is_decayed
from workloads.spec import Workload

_CLIP_EPSILON = 1e-6
"""torch.nn.utils.clip_grad_norm_ adds it to the norm; the jax engine does the same."""


class TorchSession:
    """One workload on one torch device. See `backends.contract.Session`."""

    def __init__(self, workload: Workload, recipe: Recipe, device_type: str, rank: Rank) -> None:
        """Build model and optimizer on the device; blocks, compiles nothing.

        Raises:
            BackendError: an attention that this engine does not implement.
            Unavailable: torch finds no such device.
            OutOfMemory: parameters do not fit.
        """
        self.workload, self.recipe = workload, recipe
        if recipe.attention not in ATTENTIONS:
            raise BackendError(f"torch has no attention {recipe.attention!r}", f"known: {', '.join(ATTENTIONS)}")
        self._device_type, self._module = device_type, torch.get_device_module(device_type)
        self.device = _device(device_type, rank)
        if recipe.threads is not None:
            torch.set_num_threads(recipe.threads)
        torch.set_float32_matmul_precision("highest")
        with _memory_errors():
            self.model = self._build()
        self.optimizer = self._optimizer()
        self._compile_fallback = _compile_fallback(recipe)
        compiled = recipe.compile == "whole" and self._compile_fallback is None
        self._loss = torch.compile(self.model, dynamic=False, fullgraph=True) if compiled else self.model
        self._pending: list[tuple[int, Tensor, Tensor]] = []
        self._probe = probe_products(self.model.numerics, self.device)

    def _build(self) -> Llama:
        """The model with its initial parameters, copied tensor by tensor."""
        numerics = Numerics.of(POLICIES[self.workload.precision], self.recipe.attention)
        with torch.device(self.device):
            model = Llama(
                self.workload.model,
                self.workload.sequence_length,
                numerics,
                rematerialise=self.recipe.rematerialise,
            )
        own = dict(model.named_parameters())
        with torch.no_grad():
            for name, value in initial_parameters(self.workload.model, self.workload.seed):
                own.pop(name).copy_(torch.from_numpy(value))
        assert not own, f"parameters without an initial value: {sorted(own)}"
        return model

    def _optimizer(self) -> torch.optim.AdamW:
        rule = self.workload.optimizer
        parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in parameters if is_decayed(p.shape)], "weight_decay": rule.weight_decay},
            {"params": [p for p in parameters if not is_decayed(p.shape)], "weight_decay": 0.0},
        ]
        betas = (rule.beta1, rule.beta2)
        return torch.optim.AdamW(groups, lr=rule.learning_rate, betas=betas, eps=rule.epsilon, fused=True)

    def step(self, batch: Batch) -> None:
        """Enqueue one full optimizer step; returns before an asynchronous device is done."""
        with _memory_errors():
            losses = [self._forward_backward(*micro_batch) for micro_batch in self._micro_batches(batch)]
            norm = self._clip(len(losses))
            self._update(batch.step)
        self._pending.append((batch.step, torch.stack(losses).mean(), norm))

    def _micro_batches(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.recipe.micro_batch or len(batch.inputs)
        inputs, targets = (
            torch.from_numpy(part).to(self.device, non_blocking=True) for part in (batch.inputs, batch.targets)
        )
        return zip(inputs.split(size), targets.split(size), strict=True)

    def _forward_backward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Add this micro-batch's mean gradient; the loss is not scaled before backward."""
        loss: Tensor = self._loss(inputs, targets)
        loss.backward()
        return loss.detach()

    def _clip(self, micro_batches: int) -> Tensor:
        """Make the gradients their mean over micro-batches, limited to the clip norm; returns the norm before."""
        gradients = self.gradients(micro_batches)
        norm = total_norm(gradients)
        limit = self.workload.optimizer.clip_norm
        torch._foreach_mul_(gradients, torch.clamp(limit / (norm + _CLIP_EPSILON), max=1.0))
        return norm

    def gradients(self, micro_batches: int = 1) -> list[Tensor]:
        """The accumulated gradients, divided in place by the number of micro-batches, in parameter order."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        if micro_batches > 1:
            torch._foreach_div_(gradients, micro_batches)
        return gradients

    def _update(self, step: int) -> None:
        rate = step_scalars(self.workload.optimizer, step).learning_rate
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def sync(self) -> None:
        """Wait for everything enqueued on the device."""
        self._module.synchronize()

    def losses(self) -> Sequence[StepLoss]:
        """Read back every step since the last call; blocks until they are done."""
        pending, self._pending = self._pending, []
        if not pending:
            return []
        values = torch.stack([torch.stack(pair) for _, *pair in pending]).double().cpu().tolist()
        return [
            StepLoss(step=step, loss=loss, gradient_norm=norm)
            for (step, *_), (loss, norm) in zip(pending, values, strict=True)
        ]

    def compiled_graphs(self) -> int | None:
        """Graphs that Dynamo captured in this process; a recompile adds one."""
        return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])

    def memory(self) -> MemoryUse | None:
        """Peak of the device's allocator, or of the process where the device is the host."""
        if self._device_type == "cpu":
            return peak_resident_memory()
        peak = int(self._module.max_memory_allocated())
        return MemoryUse(peak_bytes=peak, source=f"torch.{self._device_type}.max_memory_allocated")

    def describe(self) -> Mapping[str, Scalar]:
        """What really runs."""
        first = next(self.model.parameters())
        return {
            "engine": "torch",
            "engine_version": torch.__version__,
            "device_type": first.device.type,
            "device_name": _device_name(self._module, self._device_type),
            "master_dtype": str(first.dtype).removeprefix("torch."),
            "operand_dtype": str(self.model.numerics.operands).removeprefix("torch."),
            "attention": self.model.numerics.attention,
            "compile": "whole" if self._loss is not self.model else "off",
            "fallback": self._compile_fallback,
            "optimizer": "torch.optim.AdamW(fused=True)",
            "host_threads": torch.get_num_threads(),
            **self._probe,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop model and compiled code, so that a second session in this process starts clean."""
        del self.model, self.optimizer, self._loss
        torch.compiler.reset()


def total_norm(gradients: Sequence[Tensor]) -> Tensor:
    """L2 norm over all gradients, from the norms of their rows; a scalar of their type.

    One float32 norm over a whole matrix loses digits on a CPU (3e-5 of 2 M elements, which parity sees); a
    norm of row norms does not, and takes no longer.
    """
    rows = [torch.linalg.vector_norm(gradient, dim=-1).reshape(-1) for gradient in gradients]
    return torch.linalg.vector_norm(torch.cat(rows))


def probe_products(numerics: Numerics, device: torch.device) -> dict[str, Scalar]:
    """What the device does with a matrix product: fraction bits that operands keep, and exact accumulation.

    A diagonal of 1 + 2^-k survives a product with the identity only if operands keep k fraction bits. A
    sum of 2^16 ones is exact only if partial sums are wider than bfloat16, which stops at 256.
    """
    identity = torch.eye(64, dtype=numerics.master, device=device)

    def survives(bits: int) -> bool:
        operand = (identity * (1 + 2.0**-bits)).to(numerics.operands)
        product = torch.nn.functional.linear(operand, identity.to(numerics.operands))
        return bool((product.diagonal() != 1).all())

    ones = torch.ones(64, 2**16, dtype=numerics.operands, device=device)
    exact = bool((torch.nn.functional.linear(ones, ones) == 2**16).all())
    kept = max((bits for bits in (52, 23, 10, 7) if survives(bits)), default=0)
    return {"operand_fraction_bits": kept, "accumulation_exact": exact}


def _device(device_type: str, rank: Rank) -> torch.device:
    if device_type == "cpu":
        return torch.device("cpu")
    if not torch.get_device_module(device_type).is_available():
        raise Unavailable(f"torch {torch.__version__} finds no {device_type} device", "see: fairchip doctor")
    torch.get_device_module(device_type).set_device(rank.local_index)
    return torch.device(device_type, rank.local_index)


def _device_name(module: object, device_type: str) -> str:
    name = getattr(module, "get_device_name", None)
    return str(name()) if name is not None and device_type != "cpu" else device_type


def _compile_fallback(recipe: Recipe) -> str | None:
    """Why a recipe that asks for compilation runs eager here, or None."""
    if recipe.compile == "off" or cxx_compiler() is not None:
        return None
    return "eager: torch.compile needs a C++ compiler and none was found"


class _memory_errors:
    """Turns torch's two ways of running out of memory into `OutOfMemory`."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error):
            first_line = str(error).splitlines()[0] if str(error) else "out of memory"
            raise OutOfMemory(first_line, "use a smaller micro_batch in the recipe, or rematerialise") from error
