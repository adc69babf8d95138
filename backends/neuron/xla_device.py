"""torch-xla's device: taken only if it is the hardware that was asked for, and waited for twice.

Traps that this file closes, all seen with torch-xla 2.9: a missing plug-in means the CPU, announced by a warning;
``sync`` only launches; collectives of a job whose processes do not see each other return their input.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.distributed as dist
import torch_xla
import torch_xla.core.xla_model as xm
import torch_xla.debug.metrics as metrics
import torch_xla.runtime as xr
from torch import Tensor

from backends.contract import MemoryUse, Rank, Scalar
from backends.errors import Unavailable
from backends.neuron import probing
from backends.neuron.xla_optimizer import Summed
from backends.torch_device import TorchDevice
from backends.torch_sharding import Whole

_READ_BACK = "aten::_local_scalar_dense"
"""The counter of reading a number; every other counter of that prefix is an operation that ran on the host."""
_OUT_OF_MEMORY = ("Out of memory", "RESOURCE_EXHAUSTED", "std::bad_alloc")
"""torch-xla has no error type for it."""


class XlaDevice(TorchDevice):
    """The device that torch-xla gives a process."""

    has_fused_adamw = False
    tells_attention = False

    def __init__(self, hardware: str, root: Path = Path("/")) -> None:
        """``hardware``: what `xla_device_hw` must say, "NEURON"; "CPU" in tests. ``root``: of the machine's files."""
        self.type, self.hardware = "xla", hardware
        self._machine = probing.machine(root)

    def take(self, rank: Rank) -> torch.device:
        """This process's device, of the hardware asked for, in a job whose collectives work.

        Raises:
            Unavailable: another device answers, or none, or not all processes of the job are joined.
        """
        self._device = _device_of(self.hardware)
        if rank.world_size > 1:
            self.join(rank)
            _check_collectives(self._device, rank.world_size)
        return self._device

    def join(self, rank: Rank) -> None:
        """Join the job's other processes.

        torch-xla has set itself up for them from torchrun's variables when it was imported. It must not be asked for
        its world size before this: it remembers the answer.
        """
        joined = xr.global_device_count()
        if joined != rank.world_size:
            raise Unavailable(f"torch-xla sees {joined} devices in a job of {rank.world_size} processes", _SEE_DOCTOR)
        import torch_xla.distributed.xla_backend  # noqa: F401 - registers the backend "xla"

        dist.init_process_group("xla", init_method="xla://")

    def sharding(self, kind: str, processes: int) -> Whole:
        """All-reduce of gradients; for ``optimizer`` the session's `ZeroRedundancyOptimizer` takes its place."""
        return Summed(processes)

    def enqueued(self) -> None:
        """Launch it: what is recorded after it may make it useless, and it would never run."""
        torch_xla.sync()

    def synchronize(self) -> None:
        """Launch what was recorded, then wait: ``sync`` returns at once, whatever it is given."""
        torch_xla.sync()
        xm.wait_device_ops()

    def why_eager(self) -> str | None:
        """Nothing is eager: what was recorded is compiled whole."""
        return None

    def compiled_graphs(self) -> int:
        """Graphs that XLA compiled in this process."""
        return compile_times()[0]

    def ran_elsewhere(self) -> str | None:
        """Operations that ran on the host because torch-xla has no lowering for them."""
        names = sorted(name for name in metrics.counter_names() if name.startswith("aten::") and name != _READ_BACK)
        return f"on the host: {', '.join(names)}" if names else None

    def memory_bytes(self) -> int | None:
        """Of a logical core, as far as the machine tells."""
        return self._machine.memory_bytes_per_logical_core if self._machine else None

    def memory(self) -> MemoryUse | None:
        """The runtime's peak; None where it keeps none."""
        try:
            peak = int(xm.get_memory_info(self._device).get("peak_bytes_used", 0))
        except RuntimeError:
            return None
        return MemoryUse(peak_bytes=peak, source="torch_xla get_memory_info") if peak > 0 else None

    def is_out_of_memory(self, error: BaseException) -> bool:
        """By the words of the message."""
        return super().is_out_of_memory(error) or (
            isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)
        )

    def describe(self) -> Mapping[str, Scalar]:
        """The chip's name, so that its peak is found, and what torch-xla calls its core."""
        kind = str(xm.xla_device_kind(self._device))
        count, seconds = compile_times()
        return {
            "device_name": (self._machine.chip if self._machine else None) or kind,
            "device_kind": kind,
            "graphs_compiled": count,
            "graph_compile_seconds": seconds,
            **probing.facts(self._machine),
        }


_SEE_DOCTOR = "see: fairchip doctor"


def _device_of(hardware: str) -> torch.device:
    """torch-xla's device. Asked for once: after a plug-in that failed, a second attempt ends the process."""
    try:
        device = torch_xla.device()
        found = str(xm.xla_device_hw(device))
    except (ImportError, RuntimeError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise Unavailable(f"torch-xla finds no {hardware} device: {first}", _SEE_DOCTOR) from error
    if found != hardware:
        raise Unavailable(f"torch-xla runs on {found}, not on {hardware}", "set PJRT_DEVICE and install its plug-in")
    return device


def _check_collectives(device: torch.device, world_size: int) -> None:
    """An all-reduce of ones gives the number of processes, unless collectives are the identity."""
    summed = all_reduced(torch.ones((), device=device))
    torch_xla.sync()
    total = float(summed.cpu())
    if xr.world_size() != world_size or total != world_size:
        fault = f"a sum over {world_size} processes gave {total:g}: torch-xla's collectives do not join them"
        raise Unavailable(fault, _SEE_DOCTOR)


def all_reduced(value: Tensor) -> Tensor:
    """Sum over processes."""
    return xm.all_reduce(xm.REDUCE_SUM, value)


def compile_times() -> tuple[int, float]:
    """Graphs compiled in this process, and the seconds that it took."""
    count, nanoseconds, *_ = metrics.metric_data("CompileTime") or (0, 0.0)
    return int(count), float(nanoseconds) / 1e9
