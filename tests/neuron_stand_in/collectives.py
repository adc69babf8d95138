"""One rank of two: a small network trained with FSDP2 and with ZeRO-1 on the device, and alone on the CPU.

Prints one line of JSON. RANK, WORLD_SIZE and LOCAL_RANK as torchrun sets them; INIT_FILE is where the ranks meet.
"""

import json
import os
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer

STEPS, RATE = 3, 0.1


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))


def batches() -> list[Tensor]:
    """For each step, (rank, rows, features)."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, 4, 8, generator=generator) for _ in range(STEPS)]


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, parts: Sequence[Tensor], average: Callable[[Tensor], None]
) -> list[float]:
    """The loss of each step over all ranks' rows."""
    losses = []
    for part in parts:
        loss = model(part).square().mean()
        loss.backward()
        for parameter in model.parameters():
            if type(parameter.grad) is Tensor:  # not FSDP's, which are averaged already
                average(parameter.grad)
        optimizer.step()
        optimizer.zero_grad()
        mean = loss.detach()
        average(mean)
        losses.append(mean.item())
    return losses


def main() -> dict[str, object]:
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("neuron", init_method=f"file://{os.environ['INIT_FILE']}", rank=rank, world_size=size)
    mine = [batch[rank].to("neuron") for batch in batches()]

    def average(tensor: Tensor) -> None:
        dist.all_reduce(tensor)
        tensor /= size

    sharded, zero, alone = network().to("neuron"), network().to("neuron"), network()
    fully_shard(sharded)
    seen = {
        "device": str(torch.ones(1, device="neuron:0").device),
        "fully_shard": train(sharded, torch.optim.AdamW(sharded.parameters(), lr=RATE), mine, average),
        "zero": train(zero, ZeroRedundancyOptimizer(zero.parameters(), torch.optim.AdamW, lr=RATE), mine, average),
        "alone": train(
            alone, torch.optim.AdamW(alone.parameters(), lr=RATE), [b.flatten(0, 1) for b in batches()], lambda _: None
        ),
    }
    dist.destroy_process_group()
    return seen


if __name__ == "__main__":
    print(json.dumps(main()))
