"""Asks `NeuronDevice` on the stand-in what it does where the stack sets a trap; for test_native_device.py."""

import json
import os
from pathlib import Path

import torch

from backends.contract import Rank
from backends.engine_torch import TorchSession
from backends.errors import BackendError, Unavailable
from backends.neuron.native_device import NeuronDevice
from backends.recipe import Recipe, resolve
from workloads.catalog import find_workload


def outcome(work):
    """What it returns, or the error's message."""
    try:
        return work()
    except (BackendError, Unavailable) as error:
        return error.message


root = Path(os.environ["MACHINE"])
seen = []
os.sched_setaffinity = lambda pid, cpus: seen.append(sorted(cpus))
os.sched_getaffinity = lambda pid: set(range(8))
device = NeuronDevice(root, near=True)
answers = {
    "three cores": outcome(lambda: device.take(Rank(world_size=3))),
    "no compiler": None,
}
path = os.environ["PATH"]
os.environ["PATH"] = "/usr/bin:/bin"
answers["no compiler"] = outcome(lambda: device.take(Rank()))
os.environ["PATH"] = path
answers["device"] = str(device.take(Rank()))
answers["near"] = seen
answers["visible cores"] = os.environ["NEURON_RT_VISIBLE_CORES"]
answers["memory of a core"] = device.memory_bytes()

workload = find_workload("smoke")
with TorchSession(workload, resolve(Recipe(compile="off", attention="sdpa"), workload), device, Rank()):
    answers["automatic shapes"] = torch._dynamo.config.automatic_dynamic_shapes
kept = torch.empty(1 << 22, device="neuron")
(kept + 1).sum()
answers["peak"] = device.memory().peak_bytes
print(json.dumps(answers))
