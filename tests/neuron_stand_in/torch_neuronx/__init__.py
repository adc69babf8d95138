"""A stand-in for AWS's torch_neuronx (TorchNeuron) on a machine without the device, for tests only.

Importing it registers the device ``neuron``, as PyTorch does on its own through the entry point ``torch.backends``.
Names and behaviour follow AWS's documentation and published sources; README.md beside the package says how far.
"""

import torch

from torch_neuronx import distributed, neuron
from torch_neuronx._library import DEVICE as _DEVICE
from torch_neuronx.metrics import get_dynamo_metrics, reset_dynamo_metrics
from torch_neuronx.neuron import (
    current_device,
    device_count,
    get_device_name,
    is_available,
    max_memory_allocated,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_peak_memory_stats,
    set_device,
    synchronize,
)
from torch_neuronx.streams import Event, Stream

__version__ = ".".join([*torch.__version__.split(".")[:2], "3", "0"])
"""Of a release for the torch that is here: a backend refuses one for another."""
__all__ = [
    "Event",
    "Stream",
    "clear_op_tracking",
    "current_device",
    "device_count",
    "get_device_name",
    "get_dynamo_metrics",
    "get_executed_ops",
    "get_fallback_ops",
    "int64_events",
    "is_available",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "neuron",
    "reset_dynamo_metrics",
    "reset_peak_memory_stats",
    "set_device",
    "synchronize",
]


def get_executed_ops() -> list[str]:
    """Operators that ran on the device since the tracking was cleared."""
    return _DEVICE.operators(fell_back=False)


def get_fallback_ops() -> list[str]:
    """Operators that silently ran on the CPU since the tracking was cleared."""
    return _DEVICE.operators(fell_back=True)


def clear_op_tracking() -> None:
    _DEVICE.c.nsi_clear_operators()


def int64_events() -> dict[str, int]:
    """For tests, the real package has no such thing: int64 tensors moved to the device and made there."""
    return _DEVICE.int64_events()


def _autoload() -> None:
    """What PyTorch calls at the end of ``import torch``; importing this module did the work."""


def _register() -> None:
    neuron.get_dynamo_metrics, neuron.reset_dynamo_metrics = get_dynamo_metrics, reset_dynamo_metrics
    torch.utils.rename_privateuse1_backend("neuron")
    torch._register_device_module("neuron", neuron)
    torch.utils.generate_methods_for_privateuse1_backend(for_tensor=True, for_module=True, for_storage=True)
    distributed.register()


_register()
