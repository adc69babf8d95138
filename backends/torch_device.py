"""What the torch engine asks of a device. The default serves every device that torch itself drives completely."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch

from backends.contract import MemoryUse, Rank, Scalar
from backends.errors import Unavailable
from backends.host import available_cpus, cxx_compiler, peak_resident_memory
from backends.torch_sharding import Whole, of_recipe


class TorchDevice:
    """A device by its type ("cpu", "cuda", "xpu", ...). A subclass says what is different about its own."""

    compile_backend = "inductor"
    has_fused_adamw = True
    tells_attention = True
    """Whether torch chooses among its own kernels of attention here, and can be asked which."""

    def __init__(self, device_type: str) -> None:
        self.type = device_type
        self._module: Any = torch.get_device_module(device_type)

    def take(self, rank: Rank) -> torch.device:
        """This process's device; where there are several processes, their group is joined first.

        Raises:
            Unavailable: torch finds no such device.
        """
        if rank.world_size > 1:
            join(torch.distributed.get_default_backend_for_device(self.type), rank)
        if self.type == "cpu":
            if rank.world_size > 1:
                torch.set_num_threads(max(1, available_cpus() // rank.world_size))
            return torch.device("cpu")
        if not self._module.is_available():
            raise Unavailable(f"torch {torch.__version__} finds no {self.type} device", "see: fairchip doctor")
        return self.nth(rank.local_index)

    def nth(self, index: int) -> torch.device:
        """The device of that number, made the process's own."""
        self._module.set_device(index)
        return torch.device(self.type, index)

    def sharding(self, kind: str, processes: int) -> Whole:
        """How processes on such devices share a step: what a recipe's ``sharding`` asks for."""
        return of_recipe(kind, processes)

    def begin(self) -> None:
        """The session stands: what runs from now on is the step. Blocks until all before is done."""
        self.synchronize()

    def enqueued(self) -> None:
        """One operation was called that nothing waits for: a device that only records what is called launches it."""

    def synchronize(self) -> None:
        """Wait for everything enqueued."""
        self._module.synchronize()

    def why_eager(self) -> str | None:
        """Why nothing can be compiled for this device here, or None."""
        if cxx_compiler() is not None:
            return None
        return "eager: torch.compile needs a C++ compiler and none was found"

    def compiled_graphs(self) -> int | None:
        """Graphs that Dynamo captured in this process; a recompile adds one."""
        return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])

    def ran_elsewhere(self) -> str | None:
        """Operations of the steps that ran elsewhere than on the device, or None."""
        return None

    def memory_bytes(self) -> int | None:
        """Memory of one device in all, or None where it cannot be told."""
        if self.type == "cpu":
            return None
        return int(self._module.get_device_properties(self._module.current_device()).total_memory)

    def memory(self) -> MemoryUse | None:
        """Peak of the device's allocator, or of the process where the device is the host."""
        if self.type == "cpu":
            return peak_resident_memory()
        peak = int(self._module.max_memory_allocated())
        return MemoryUse(peak_bytes=peak, source=f"torch.{self.type}.max_memory_allocated")

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether that is what the error says."""
        return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)

    def describe(self) -> Mapping[str, Scalar]:
        """Name and whatever else tells devices of the type apart."""
        name = getattr(self._module, "get_device_name", None)
        return {"device_name": str(name()) if name is not None and self.type != "cpu" else self.type}

    def close(self) -> None:
        """Leave the group of processes."""
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def join(collectives: str, rank: Rank) -> None:
    """Join the group of processes; blocks until all are there.

    The runner limits the time of a run, so a collective may wait as long as it takes the others to compile.
    """
    torch.distributed.init_process_group(
        collectives, rank=rank.index, world_size=rank.world_size, timeout=timedelta(days=1)
    )
