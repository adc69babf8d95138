"""The process group ``neuron``: gloo over the device's host memory, behind the rules of the real one.

The tensors become host tensors in device.cpp (`collective`), so that gloo sees no device.
"""

import os
from datetime import timedelta

import torch.distributed as dist

from torch_neuronx._library import DEVICE


def register() -> None:
    """Make ``init_process_group("neuron")`` known, for the device neuron only."""
    if dist.is_available() and "NEURON" not in dist.Backend._plugins:
        dist.Backend.register_backend("neuron", _create, devices=["neuron"])


def _create(store: dist.Store, rank: int, size: int, timeout: timedelta) -> dist.Backend:
    """A group; the first one binds this process to one core.

    Raises:
        AssertionError: something touched the device before.
        RuntimeError: a number of processes for which there is no topology.
    """
    if DEVICE.c.nsi_only_core() < 0:
        assert not DEVICE.c.nsi_touched(), "Neuron runtime should not be initialized before the init_process_group"
        _bind(rank, size)
    return dist.ProcessGroupGloo(store, rank, size, timeout)


def _bind(rank: int, size: int) -> None:
    if size not in (1, 2, 4, 8, 16) and size % 32:
        raise RuntimeError(f"NRT: world size {size} is not supported: 1, 2, 4, 8, 16 or a multiple of 32")
    local_rank = int(os.environ.get("LOCAL_RANK", rank))
    os.environ.setdefault("NEURON_RT_VISIBLE_CORES", str(local_rank))
    address = os.environ.get("MASTER_ADDR", "localhost")
    os.environ.setdefault("NEURON_RT_ROOT_COMM_ID", f"{address}:{int(os.environ.get('MASTER_PORT', 29500)) + 1}")
    DEVICE.c.nsi_use_only(local_rank)
