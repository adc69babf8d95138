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
    """Samples once a second, devices also when told to, in a thread of the parent; a context manager."""

    def __init__(self, worker_pid: int, samplers: Sequence[Sampler] = ()) -> None:
        self._worker_pid, self._samplers, self._clock = worker_pid, samplers, WallClock.now()
        self._wake, self._over = threading.Event(), False
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

    def look(self) -> None:
        """Read the devices now as well: a window begins or ends. Returns at once."""
        self._wake.set()

    def _run(self) -> None:
        before, due = HostReading.now(self._worker_pid, self._clock), time.monotonic() + PERIOD_SECONDS
        while True:
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            if self._over:
                return
            at = self._clock()
            if time.monotonic() >= due:
                now = HostReading.now(self._worker_pid, self._clock)
                self._host.append(now.since(before))
                before, due, at = now, time.monotonic() + PERIOD_SECONDS, now.at
            self._devices += read_devices(self._samplers, at)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._wake.set()
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


def _finite(value: float | str | None) -> Scalar:
    if value is None or isinstance(value, str):
        return value
    return float(value) if math.isfinite(value) else None
