"""The torch engine's view of one logical NeuronCore under TorchNeuron.

Sources: AWS's TorchNeuron documentation (torch.compile backend reference, memory profiling, torch.distributed,
environment variables; SDK 2.33), and where it is silent the package's public tests and third parties' reports.
"""

import importlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from backends.contract import MemoryUse, Rank, Scalar
from backends.errors import BackendError, Unavailable
from backends.neuron import probing
from backends.neuron.native import SUPPORT
from backends.torch_device import TorchDevice, join

WORLD_SIZES = (1, 2, 4, 8, 16)
"""Or a multiple of 32: what the collectives take (third-party report on trn2)."""
OUT_OF_MEMORY = ("NRT_RESOURCE", "out of memory", "OutOfMemory", "Failed to allocate", "failed to allocate")
AUTOCAST_LOG = "torch_neuronx.python_ops.dtype_autocast"
"""Tells of every type that the device does not have: int64 becomes int32, float64 float32."""


class NeuronDevice(TorchDevice):
    """One logical core; its number within the process is always the process's own."""

    compile_backend = "neuron"
    tells_attention = False
    has_fused_adamw = False

    def __init__(self, root: Path = Path("/"), *, near: bool = False) -> None:
        self._package = imported()
        super().__init__("neuron")
        self._machine, self._near = probing.machine(root), near
        self._casts = _CastCounter()

    def take(self, rank: Rank) -> torch.device:
        """The core; nothing touches it before the group of processes is joined, which the package demands.

        Raises:
            BackendError: a number of processes that the collectives do not take.
            Unavailable: no compiler, without which the first operation would wait for ever; or no such device.
        """
        if rank.world_size not in WORLD_SIZES and rank.world_size % 32:
            fault = f"{rank.world_size} cores cannot work together"
            raise BackendError(fault, "use 1, 2, 4, 8, 16 or a multiple of 32")
        if shutil.which(probing.COMPILER) is None:
            raise Unavailable(f"{probing.COMPILER} is not on PATH", "see: fairchip doctor")
        core = own_core(rank)
        os.environ["NEURON_RT_VISIBLE_CORES"] = str(core)
        if self._near:
            self._stay_near(core)
        if rank.world_size > 1:
            join("neuron", rank)
        self._require_device()
        return torch.device("neuron")

    def _require_device(self) -> None:
        """The count raises where there is no device, and says nothing of who holds it."""
        try:
            count = int(self._module.device_count())
        except RuntimeError as error:
            raise Unavailable(f"torch.neuron finds no device: {_first_line(error)}", "see: fairchip doctor") from error
        accelerator = torch.accelerator.current_accelerator()
        if count < 1 or accelerator is None or accelerator.type != "neuron":
            raise Unavailable(f"torch's accelerator is {accelerator}, with {count} devices", "see: fairchip doctor")

    def _stay_near(self, core: int) -> None:
        """On the processors of the chip's NUMA node, where neuron-ls tells them."""
        machine = self._machine
        if machine is None or not machine.logical_cores_per_chip:
            return
        place = core // machine.logical_cores_per_chip
        affinity = machine.chips[place].cpu_affinity if place < len(machine.chips) else None
        near = cpu_numbers(affinity or "") & os.sched_getaffinity(0)
        if near:
            os.sched_setaffinity(0, near)

    def begin(self) -> None:
        """What setting up ran elsewhere than on the device is no matter; what the step does, is."""
        self.synchronize()
        self._package.clear_op_tracking()

    def why_eager(self) -> str | None:
        """Never: `take` has found the compiler."""
        return None

    def compiled_graphs(self) -> int | None:
        """Graphs that Dynamo captured, graphs that the backend compiled, and programs in the cache.

        The cache also tells of what eager operations compile, which the other two do not count.
        """
        captured = int(torch._dynamo.utils.counters["stats"]["unique_graphs"])
        cache = Path(os.environ.get("TORCH_NEURONX_NEFF_CACHE_DIR", "/tmp/neff_cache"))
        return captured + len(self._package.get_dynamo_metrics()) + sum(1 for _ in cache.rglob("*.neff"))

    def ran_elsewhere(self) -> str | None:
        """Operations that ran on the CPU, which the package does without a word."""
        found = Counter(map(str, self._package.get_fallback_ops())).most_common(5)
        return f"on the CPU: {', '.join(f'{name} ({count})' for name, count in found)}" if found else None

    def memory_bytes(self) -> int | None:
        """Of one logical core: a share of the chip's, 24 GiB at LNC=2 on Trainium2."""
        return self._machine.memory_bytes_per_logical_core if self._machine else None

    def memory(self) -> MemoryUse | None:
        """Peak of this core's allocator, without programs and the compiler's scratchpad: neuron-monitor tells those."""
        self.synchronize()
        peak = int(self._module.max_memory_allocated()) or _peak_of(self._module.memory_stats())
        source = "torch.neuron.max_memory_allocated, one logical core"
        return MemoryUse(peak_bytes=peak, source=source) if peak else None

    def is_out_of_memory(self, error: BaseException) -> bool:
        """By torch's own error, or by what the runtime writes."""
        return super().is_out_of_memory(error) or any(text in str(error) for text in OUT_OF_MEMORY)

    def describe(self) -> Mapping[str, Scalar]:
        """The chip, which data sheets are of; the core; versions; and what happened unasked."""
        metrics = self._package.get_dynamo_metrics()
        compiling = sum(float(one.get("torch_neuronx_compile_us") or 0.0) for one in metrics) / 1e6
        return {
            "device_name": (self._machine and self._machine.chip) or str(self._module.get_device_name()),
            "core_name": str(self._module.get_device_name()),
            "visible_cores": os.environ.get("NEURON_RT_VISIBLE_CORES"),
            "torch_neuronx_version": str(getattr(self._package, "__version__", None)),
            "support": SUPPORT,
            "implicit_casts": self._casts.count,
            "compile_seconds_told": compiling,
            **probing.facts(self._machine),
        }

    def close(self) -> None:
        """Leave the group and stop counting."""
        self._casts.close()
        super().close()


def imported() -> Any:
    """The package; torch has loaded it already unless autoloading is off."""
    try:
        return importlib.import_module("torch_neuronx")
    except ImportError as error:
        raise Unavailable(f"torch_neuronx cannot be imported: {_first_line(error)}", "see: fairchip doctor") from error


def _peak_of(stats: Mapping[str, Any]) -> int:
    """The flat key of later releases, or the nested one of earlier ones."""
    nested = stats.get("allocated_bytes")
    peak = nested.get("peak") if isinstance(nested, Mapping) else stats.get("allocated_bytes.all.peak")
    return int(peak or 0)


def own_core(rank: Rank) -> int:
    """This process's logical core in the machine: of those that the user lets us see, the one with its number."""
    visible = sorted(cpu_numbers(os.environ.get("NEURON_RT_VISIBLE_CORES", "")))
    return visible[rank.local_index] if rank.local_index < len(visible) else rank.local_index


def cpu_numbers(text: str) -> set[int]:
    """{0, 1, 2, 8} from the kernel's list format "0-2,8"."""
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class _CastCounter(logging.Handler):
    """Counts what the package says of types that it changed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0
        logging.getLogger(AUTOCAST_LOG).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1

    def close(self) -> None:
        logging.getLogger(AUTOCAST_LOG).removeHandler(self)
        super().close()
