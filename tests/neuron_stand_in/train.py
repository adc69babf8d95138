"""Trains the smoke workload for three steps once for each job and prints what a test compares, as one line of JSON.

The argument is a JSON list of jobs, each the keyword arguments of `train`.
"""

import json
import sys
import time
from typing import Any

import torch

from workloads.catalog import find_workload
from workloads.data import batch_source
from workloads.models.llama_torch import Llama, Numerics
from workloads.parameters import initial_parameters
from workloads.precision import POLICIES

STEPS = 3


def train(device: str, *, compile_blocks: bool = False, attention: str = "product", **adamw: Any) -> dict[str, Any]:
    """Losses in nats, and the seconds of each step, of `STEPS` steps of AdamW; blocks."""
    workload = find_workload("smoke")
    model = Llama(workload.model, workload.sequence_length, Numerics.of(POLICIES[workload.precision], attention))
    model.load_state_dict(
        {name: torch.from_numpy(value) for name, value in initial_parameters(workload.model, workload.seed)}
    )
    model.to(device)
    if compile_blocks:
        for block in model.model.layers:
            block.compile(backend="neuron", dynamic=False, fullgraph=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **adamw)
    draw = batch_source(workload)
    losses, seconds = [], []
    for step in range(STEPS):
        begin = time.perf_counter()
        batch = draw(step)
        loss = model(*(torch.from_numpy(part).to(device, non_blocking=True) for part in (batch.inputs, batch.targets)))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        torch.get_device_module(device).synchronize()
        seconds.append(time.perf_counter() - begin)
    return {"losses": [loss.item() for loss in losses], "seconds": seconds}


if __name__ == "__main__":
    print(json.dumps([train(**job) for job in json.loads(sys.argv[1])]))
