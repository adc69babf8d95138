"""One look at the host: what else is busy, what the hypervisor takes, clocks."""

import psutil

from bench.wall_clock import WallClock
from results.record import HostSample


class HostReading:
    """Processor seconds spent so far, by whom."""

    def __init__(self, at: float, busy: float, own: float | None, stolen: float | None, mhz: float | None) -> None:
        self.at, self.busy, self.own, self.stolen, self.mhz = at, busy, own, stolen, mhz

    @classmethod
    def now(cls, worker_pid: int, clock: WallClock) -> "HostReading":
        """What the host has spent until now."""
        times = psutil.cpu_times()
        stolen = getattr(times, "steal", None)
        idle = times.idle + getattr(times, "iowait", 0.0) + (stolen or 0.0)
        own = _processor_seconds(worker_pid)
        return cls(clock(), sum(times[:8]) - idle, own, stolen, _clock_mhz())

    def since(self, before: "HostReading") -> HostSample:
        """The processors' worth of time between two readings."""
        elapsed = max(self.at - before.at, 1e-3)
        own = None if self.own is None or before.own is None else self.own - before.own
        other = None if own is None else max(0.0, (self.busy - before.busy - own) / elapsed)
        stolen = None if self.stolen is None or before.stolen is None else max(0.0, self.stolen - before.stolen)
        return HostSample(
            unix_seconds=self.at,
            other_cpus=other,
            stolen_cpus=None if stolen is None else stolen / elapsed,
            cpu_mhz=self.mhz,
        )


def _processor_seconds(pid: int) -> float | None:
    """User and system seconds of a process and all below it, ranks and compilers; None once it is gone."""
    try:
        worker = psutil.Process(pid)
        return _seconds_of(worker) + sum(map(_seconds_of, worker.children(recursive=True)))
    except psutil.Error:
        return None


def _seconds_of(process: psutil.Process) -> float:
    """Of a process and of those of its children that have ended; 0 for one that ends just now."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _clock_mhz() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return float(frequency.current) if frequency and frequency.current > 0 else None
