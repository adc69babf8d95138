"""What is registered as ``torch.neuron``."""

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch

from torch_neuronx._library import DEVICE
from torch_neuronx.streams import Event, Stream, current_stream, default_stream, set_stream, stream

__all__ = ["Event", "Stream", "current_stream", "default_stream", "set_stream", "stream"]

_FORKED: list[bool] = []
_SEEDS: dict[int, int] = {}
_SEEN_MEMORY: dict[int, dict[str, int]] = {}

os.register_at_fork(after_in_child=lambda: _FORKED.append(is_initialized()))


@dataclass(frozen=True)
class Properties:
    """Of one logical core."""

    name: str
    total_memory: int
    """In bytes."""


def device_count() -> int:
    """Logical cores visible to this process.

    Raises:
        RuntimeError: there is no Neuron device.
    """
    if "no-device" in DEVICE.settings.faults:
        raise RuntimeError("NRT: no Neuron device found (nrt_init failed: NRT_INVALID)")
    return 1 if DEVICE.c.nsi_only_core() >= 0 else DEVICE.settings.cores


def is_available() -> bool:
    return "no-device" not in DEVICE.settings.faults


def is_initialized() -> bool:
    """Whether anything touched the device yet."""
    return bool(DEVICE.c.nsi_touched())


def _is_in_bad_fork() -> bool:
    return any(_FORKED)


def _lazy_init() -> None:
    if _is_in_bad_fork():
        raise RuntimeError("Cannot re-initialize Neuron in a forked subprocess: use the 'spawn' start method")


def current_device() -> int:
    return DEVICE.c.nsi_current_core()


def set_device(device: Any) -> None:
    """Make a core current.

    Raises:
        RuntimeError: there is no such core.
    """
    _lazy_init()
    index = _index(device)
    if not 0 <= index < DEVICE.settings.cores and DEVICE.c.nsi_only_core() < 0:
        raise RuntimeError(f"neuron:{index} does not exist: {device_count()} core(s) visible")
    DEVICE.c.nsi_set_core(index)


class device:
    """Makes a core current for a with-block."""

    def __init__(self, device: Any) -> None:
        self._index = _index(device)

    def __enter__(self) -> None:
        self._before = current_device()
        DEVICE.c.nsi_set_core(self._index)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        DEVICE.c.nsi_set_core(self._before)


def get_device_name(device: Any = None) -> str:
    return get_device_properties(device).name


def get_device_properties(device: Any = None) -> Properties:
    device_count()
    return Properties(name="NeuronCore (stand-in)", total_memory=DEVICE.settings.memory_bytes)


def synchronize(device: Any = None) -> None:
    """Wait until the core's queue is empty, unless the fault early-sync is on."""
    core = _index(device)
    DEVICE.c.nsi_synchronize(core)
    _SEEN_MEMORY[core] = DEVICE.memory(core)


def empty_cache() -> None:
    DEVICE.c.nsi_empty_cache(current_device())


def _memory(device: Any) -> dict[str, int]:
    """The counters. The allocator is asynchronous: without synchronize() they are those of the last one."""
    core = _index(device)
    return DEVICE.memory(core) if DEVICE.c.nsi_idle(core) else _SEEN_MEMORY.get(core) or dict.fromkeys(_KEYS, 0)


_KEYS = tuple(DEVICE.memory(0))


def memory_allocated(device: Any = None) -> int:
    return _memory(device)["allocated"]


def max_memory_allocated(device: Any = None) -> int:
    return _memory(device)["peak"]


def memory_reserved(device: Any = None) -> int:
    return _memory(device)["reserved"]


def max_memory_reserved(device: Any = None) -> int:
    return _memory(device)["peak_reserved"]


def reset_peak_memory_stats(device: Any = None) -> None:
    DEVICE.c.nsi_reset_peak(_index(device))


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Nested as in the beta, or flat as in 2.12.3 (NEURON_STAND_IN_FLAT_MEMORY_STATS=1)."""
    now = _memory(device)
    stats = {
        "allocated_bytes": {"current": now["allocated"], "peak": now["peak"]},
        "reserved_bytes": {"current": now["reserved"], "peak": now["peak_reserved"]},
    }
    counts = {
        "num_alloc_retries": 0,
        "num_ooms": now["out_of_memory"],
        "num_tensor_frees": now["frees"],
        "allocation_requests": now["allocations"],
    }
    if DEVICE.settings.flat_memory_stats:
        return {f"{kind}.all.{when}": value for kind, of in stats.items() for when, value in of.items()} | counts
    return stats | counts


def manual_seed(seed: int) -> None:
    _SEEDS[current_device()] = seed


def manual_seed_all(seed: int) -> None:
    _SEEDS.clear()
    _SEEDS[-1] = seed


def initial_seed() -> int:
    return _SEEDS.get(current_device(), _SEEDS.get(-1, 0))


def get_rng_state(device: Any = "neuron") -> torch.Tensor:
    """16 bytes, seed and offset. Random operators draw on the CPU's generator all the same (they fall back)."""
    seed = _SEEDS.get(_index(device), _SEEDS.get(-1, 0))
    return torch.tensor([seed, 0], dtype=torch.int64, device="cpu").view(torch.uint8)


def set_rng_state(new_state: torch.Tensor, device: Any = "neuron") -> None:
    _SEEDS[_index(device)] = int(new_state.view(torch.int64)[0])


def get_amp_supported_dtype() -> list[torch.dtype]:
    return [torch.bfloat16, torch.float16]


def _index(device: Any) -> int:
    """Of 1, "neuron:1", torch.device("neuron:1"), or the current one."""
    if isinstance(device, int):
        return device
    index = None if device is None else torch.device(device).index
    return current_device() if index is None else index
