"""Watches the machine from outside the timed process while a worker runs: the host, and what a backend can read."""

import contextlib
import math
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from backends.contract import Sampler, Scalar
from bench.host_reading import HostReading
from bench.wall_clock import WallClock
from results.record import DeviceSample, HostSample

PERIOD_SECONDS = 1.0
LAST_SAMPLE_SECONDS = 5.0
"""A sampler that hangs in its driver is left behind; it must not hold up the suite. The same for closing."""


class Watch:
    """Samples once a second in a thread of the parent; a context manager."""

    def __init__(self, worker_pid: int, samplers: Sequence[Sampler] = ()) -> None:
        self._worker_pid, self._samplers, self._clock = worker_pid, samplers, WallClock.now()
        self._stop = threading.Event()
        self._host: list[HostSample] = []
        self._devices: list[DeviceSample] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def host_samples(self) -> tuple[HostSample, ...]:
        """What the host told so far, oldest first."""
        return tuple(self._host)

    @property
    def device_samples(self) -> tuple[DeviceSample, ...]:
        """What the samplers told so far, oldest first."""
        return tuple(self._devices)

    def _run(self) -> None:
        before = HostReading.now(self._worker_pid, self._clock)
        while not self._stop.wait(PERIOD_SECONDS):
            now = HostReading.now(self._worker_pid, self._clock)
            self._host.append(now.since(before))
            self._devices += read_devices(self._samplers, now.at)
            before = now

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(LAST_SAMPLE_SECONDS)
        close_samplers(self._samplers)


def close_samplers(samplers: Sequence[Sampler]) -> None:
    """Close each in a thread of its own: one that hangs or fails keeps none of the others open."""
    threads = [threading.Thread(target=_close, args=(sampler,), daemon=True) for sampler in samplers]
    for thread in threads:
        thread.start()
    end = time.monotonic() + LAST_SAMPLE_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _close(sampler: Sampler) -> None:
    with contextlib.suppress(Exception):
        sampler.close()


def read_devices(samplers: Sequence[Sampler], unix_seconds: float) -> Iterator[DeviceSample]:
    """One sample of each that tells something; none of one that fails, which must not end the run that it watches."""
    for sampler in samplers:
        try:
            told: dict[str, Scalar] = {str(name): _finite(value) for name, value in sampler.read().items()}
            if told:
                yield DeviceSample(unix_seconds=unix_seconds, sampler=str(sampler.name), values=told)
        except Exception:
            continue


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
