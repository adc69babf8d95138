"""Trains a few steps on the stand-in's core and on the CPU, with our engine; prints both, for test_native_device.py.

Arguments: compile, and "guarded" or "scaled": the loss scaled by a power of two, or by the odd number of tokens.
"""

import json
import sys
from dataclasses import replace

from parity_workload import small_workload

from backends.contract import Rank
from backends.engine_torch import TorchSession
from backends.neuron.native_device import NeuronDevice
from backends.recipe import Recipe, resolve
from workloads.data import batch_source
from workloads.models import llama_torch

compile_mode, scaling = sys.argv[1:]
if scaling == "scaled":
    llama_torch.loss_divisor = lambda tokens: tokens
    sys.modules["backends.engine_torch"].loss_divisor = lambda tokens: tokens
workload = replace(small_workload("fp32"), global_batch=3)
recipe = resolve(Recipe(compile=compile_mode, attention="sdpa-contiguous", loss="logsumexp"), workload)
batches, told = batch_source(workload), []
for device in ("cpu", NeuronDevice()):
    chosen = replace(recipe, compile="off") if device == "cpu" else recipe
    with TorchSession(workload, chosen, device, Rank()) as session:
        for step in range(4):
            session.step(batches(step))
        session.sync()
        told.append([[one.loss, one.gradient_norm] for one in session.losses()])
import torch_neuronx  # noqa: E402 - torch has loaded it long ago

print(json.dumps({"cpu": told[0], "neuron": told[1], "int64": torch_neuronx.int64_events()}))
