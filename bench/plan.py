"""What is declared before anything runs: cases, windows, limits."""

from dataclasses import dataclass

from backends.recipe import Recipe
from workloads.spec import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurePlan:
    """How one run is measured."""

    windows: int = 8
    """Timed windows; 0 ends the run after its first step."""
    window_seconds: float = 1.0
    """Aimed length of a window: K is the least number of steps that takes as long at the pace of the warm-up."""
    minimum_steps_per_window: int = 1
    """Least optimizer steps of a window: 10 on accelerators, 1 on a CPU."""
    warmup_minimum_steps: int = 20
    """Steps before the first window, the first one included: the length of a reference trajectory."""
    warmup_maximum_seconds: float = 60.0
    steady_fraction: float = 0.1
    """Warm-up ends when the last windows' mean step time is within this fraction of the ones before."""
    time_limit_seconds: float = 600.0
    """After that the run is stopped and recorded as a timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Workload x backend x recipe x placement."""

    workload: Workload
    backend: str
    device_type: str
    recipe: Recipe
    world_size: int = 1
    """Devices that one run uses."""
    devices_per_chip: int = 1
    process_per_device: bool = True

    @property
    def name(self) -> str:
        """Short name for people."""
        recipe = "" if self.recipe.name == "as-is" else f" ({self.recipe.name})"
        devices = f" x {self.world_size}" if self.world_size > 1 else ""
        return f"{self.workload.name} {self.workload.precision} on {self.backend}{devices}{recipe}"
