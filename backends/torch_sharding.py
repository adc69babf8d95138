"""How several processes share one training step: data parallel, with what a recipe's ``sharding`` names shared out.

Every process takes its part of the global batch. Gradients are summed over processes, never averaged: the engine
divides once, by whole numbers, so that one process and many compute the same mean.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from workloads.models.llama_torch import Llama

Groups = list[dict[str, Any]]


class Whole:
    """Each process holds everything; gradients are summed tensor by tensor.

    One synchronous all-reduce for each, because overlapping ones are slower on Neuron, and one of all gradients
    together does not fit there (third-party measurements on trn2, 2026-09).
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes

    def build(self, make: Callable[[], Llama], device: torch.device) -> Llama:
        """The model on the device, its parameters still to be filled."""
        with torch.device(device):
            return make()

    def part(self, value: Tensor) -> Tensor:
        """What this process holds of a parameter's value."""
        return value

    def optimizer(self, groups: Groups, **settings: Any) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(groups, **settings)

    def reduce(self, gradients: Sequence[Tensor]) -> None:
        """Sum over processes, in place."""
        if self.processes > 1:
            for gradient in gradients:
                dist.all_reduce(gradient)

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        """L2 norm over all gradients, the same on every process."""
        return total_norm(gradients)


class OptimizerShared(Whole):
    """As `Whole`, but each process keeps the optimizer's state of its own parameters alone (ZeRO-1)."""

    def optimizer(self, groups: Groups, **settings: Any) -> torch.optim.Optimizer:
        """AdamW behind torch's `ZeroRedundancyOptimizer`."""
        from torch.distributed.optim import ZeroRedundancyOptimizer

        return ZeroRedundancyOptimizer(groups, optimizer_class=torch.optim.AdamW, **settings)


class AllShared(Whole):
    """Parameters, gradients and state in shares; a layer is whole only while it works (torch's FSDP2)."""

    def build(self, make: Callable[[], Llama], device: torch.device) -> Llama:
        """The model without memory first: whole, it need not fit on one device."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        with torch.device("meta"):
            model = make()
        mesh = init_device_mesh(device.type, (self.processes,))
        for module in (*model.model.layers, model):
            fully_shard(module, mesh=mesh)
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)
        model.to_empty(device=device)
        model.fill_tables()
        return model

    def part(self, value: Tensor) -> Tensor:
        """Rows, in equal numbers as far as they go; `torch.chunk` is how FSDP2 cuts."""
        parts = value.chunk(self.processes)
        rank = dist.get_rank()
        return parts[rank] if rank < len(parts) else value[:0]

    def reduce(self, gradients: Sequence[Tensor]) -> None:
        """Nothing: each backward pass has summed its gradients into shares."""

    def norm(self, gradients: Sequence[Tensor]) -> Tensor:
        """From the shares' norms."""
        square = total_norm(gradients).square()
        dist.all_reduce(square)
        return square.sqrt()


KINDS: dict[str, type[Whole]] = {"none": Whole, "optimizer": OptimizerShared, "all": AllShared}


def of_recipe(sharding: str, processes: int) -> Whole:
    """What a recipe's ``sharding`` asks for; one process has nobody to share with."""
    return KINDS[sharding](processes) if processes > 1 else Whole(1)


def own(values: Iterable[Tensor]) -> list[Tensor]:
    """The memory that this process holds of each: all of a tensor, its share of a shared one."""
    return [value.to_local() if hasattr(value, "to_local") else value for value in values]


def total_norm(gradients: Sequence[Tensor], dtype: torch.dtype | None = None) -> Tensor:
    """L2 norm over all gradients, from the norms of their rows, reckoned in a type; a scalar of it, or of their own.

    One float32 norm over a whole matrix loses digits on a CPU (3e-5 of 2 M elements, which parity sees); a
    norm of row norms does not, and takes no longer.
    """
    rows = [torch.linalg.vector_norm(gradient, dim=-1, dtype=dtype).reshape(-1) for gradient in gradients]
    return torch.linalg.vector_norm(torch.cat(rows))


def compile_parts(model: Llama, **settings: Any) -> None:
    """Embedding, each layer and the tail become a graph each; what joins them stays eager.

    The functions are compiled, not the modules: a module's hooks, FSDP2's among them, stay outside.
    """
    parts: list[nn.Module] = [model.model.embed_tokens, *model.model.layers, model.tail]
    for part in parts:
        part.forward = torch.compile(part.forward, **settings)
