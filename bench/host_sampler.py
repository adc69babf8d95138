"""Watches the host from outside the timed process: what else is busy, what the hypervisor takes, clocks."""

import threading
from types import TracebackType
from typing import Self

import psutil

from bench.wall_clock import WallClock
from results.record import HostSample

PERIOD_SECONDS = 1.0


class HostSampler:
    """Samples once a second in a thread of the parent while a worker runs; a context manager."""

    def __init__(self, worker_pid: int) -> None:
        self._worker_pid, self._clock = worker_pid, WallClock.now()
        self._stop = threading.Event()
        self._samples: list[HostSample] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def samples(self) -> tuple[HostSample, ...]:
        """What was sampled so far, oldest first."""
        return tuple(self._samples)

    def _run(self) -> None:
        before = _Reading.now(self._worker_pid, self._clock)
        while not self._stop.wait(PERIOD_SECONDS):
            now = _Reading.now(self._worker_pid, self._clock)
            self._samples.append(now.since(before))
            before = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()


class _Reading:
    """Processor seconds spent so far, by whom."""

    def __init__(self, at: float, busy: float, own: float | None, stolen: float | None, mhz: float | None) -> None:
        self.at, self.busy, self.own, self.stolen, self.mhz = at, busy, own, stolen, mhz

    @classmethod
    def now(cls, worker_pid: int, clock: WallClock) -> "_Reading":
        """What the host has spent until now."""
        times = psutil.cpu_times()
        stolen = getattr(times, "steal", None)
        idle = times.idle + getattr(times, "iowait", 0.0) + (stolen or 0.0)
        own = _processor_seconds(worker_pid)
        return cls(clock(), sum(times[:8]) - idle, own, stolen, _clock_mhz())

    def since(self, before: "_Reading") -> HostSample:
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
    """User and system seconds of a process and its children; None once it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return None
    return float(times.user + times.system + times.children_user + times.children_system)


def _clock_mhz() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return float(frequency.current) if frequency and frequency.current > 0 else None
