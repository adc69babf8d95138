"""The two contracts, structural: a third party's backend needs no import of ours.

A backend owns synchronisation; the runner owns time. `backends.conformance` tells an author whether
an implementation is right; docs/add-a-backend.md shows one in one file.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from backends.recipe import Recipe
from workloads.spec import Workload

if TYPE_CHECKING:
    from workloads.data import Batch

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """Whether a backend can run here, found without importing a framework."""

    available: bool
    device_type: str
    """What the framework must report as its device's type, so that a hidden CPU fallback is caught."""
    device_count: int = 0
    devices_per_chip: int = 1
    """Devices that the framework sees of one chip: 4 on a Trainium2, whose cores work in pairs."""
    process_per_device: bool = True
    """Whether each of several devices has a process of its own (torch), or one process drives all (jax)."""
    reason: str = ""
    """Why not; empty if available."""
    fix: str = ""
    """The command or step that would make it available."""
    note: str = ""
    """What its user should know where it is available, for example that a vendor no longer supports it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """This process's place in the job."""

    index: int = 0
    world_size: int = 1
    """Processes of the job."""
    local_index: int = 0
    devices: int = 1
    """Devices that this process drives."""

    @property
    def all_devices(self) -> int:
        """Devices of the job."""
        return self.world_size * self.devices


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLoss:
    """What one optimizer step computed, read back to the host."""

    step: int
    loss: float
    """Mean cross-entropy over the step's global batch, before its update; nats per token."""
    gradient_norm: float
    """Global L2 norm before clipping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Peak memory of this process since the session opened."""

    peak_bytes: int
    source: str
    """What was read, for example "torch.cuda.max_memory_allocated"."""


class Rates(Protocol):
    """A device's matrix products and copies alone, for `fairchip probe`: what a training step is held against.

    A backend offers it as ``rates(dtype) -> Rates``, which is no part of `Backend`: it may be missing.
    """

    device_name: str

    def product(self, size: int, variants: int) -> Callable[[], None]:
        """Prepare so many pairs of fresh random square matrices; a call enqueues the product of the next pair."""
        ...

    def copy(self, size_bytes: int, variants: int) -> Callable[[], None]:
        """Prepare so many places in the device's memory; a call enqueues a copy of the next one to another place."""
        ...

    def finish(self) -> None:
        """Wait for everything enqueued, and prove it by reading a number back."""
        ...

    def close(self) -> None:
        """Free the device."""
        ...


class Sampler(Protocol):
    """Reads a device from another process than the timed one."""

    name: str

    def read(self) -> Mapping[str, float | str | None]:
        """Quantities by name, units in the names; None where the device does not tell. Returns at once.

        A report knows ``energy_joules``, which counts up, and of which device (``device_index``, as the framework
        numbers them; without it: of all); ``power_limit_watts`` and ``default_power_limit_watts``; ``power_capped``
        and ``sliced`` (1.0 for a part of a shared card). Gates know ``clock_mhz``, ``throttled`` (1.0 while the device
        holds itself back because of heat or a fault) and ``processes`` on it. ``missing`` says in words why a figure
        is None. Read once a second and at every edge of a window.
        """
        ...

    def close(self) -> None:
        """Ends what reading has started, children and threads; nothing is read afterwards. Returns within seconds.

        Called once, also if nothing was read, and from another thread than `read`, which may hang meanwhile.
        """
        ...


class Session(Protocol):
    """One workload open on one backend in one process; a context manager."""

    def step(self, batch: "Batch") -> None:
        """Enqueue one full optimizer step (forward, backward, clip, update). May return early."""
        ...

    def sync(self) -> None:
        """The stack's own barrier: returns when every enqueued step is done, as far as the stack can tell."""
        ...

    def losses(self) -> Sequence[StepLoss]:
        """Loss and gradient norm of every step since the last call, oldest first. Synchronises by reading back."""
        ...

    def compiled_graphs(self) -> int | None:
        """How many graphs were compiled so far; grows when something is compiled. None: cannot tell."""
        ...

    def memory(self) -> MemoryUse | None:
        """Peak memory so far, or None where it cannot be read."""
        ...

    def describe(self) -> Mapping[str, Scalar]:
        """Device type and name, versions, flags, kernels really used, what the precision probe found."""
        ...

    def __enter__(self) -> Self:
        """Returns itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Frees the device."""
        ...


@runtime_checkable
class Backend(Protocol):
    """An engine on a device, for example torch on an Nvidia GPU."""

    name: str

    def probe(self) -> Availability:
        """Whether it can run here. Cheap; imports no framework; never raises for a missing device."""
        ...

    def recipes(self, workload: Workload) -> Mapping[str, Recipe]:
        """How to run a workload, by name; ``as-is`` is the shipped default. The micro-batch may be left open (None)."""
        ...

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """Variables that must be set before the worker's interpreter starts; compile caches go below ``cache``."""
        ...

    def samplers(self) -> Sequence[Sampler]:
        """What another process may read about the device meanwhile."""
        ...

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> Session:
        """Build the model on the device. Blocks; compiles nothing yet.

        Raises:
            BackendError: the device, the recipe or the memory does not allow it.
        """
        ...
