"""The watch beside a run: host and devices once a second, and a sampler that fails ends nothing."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping

import pytest

from bench.host_reading import _processor_seconds
from bench.sampling import Watch, read_devices


class Told:
    name = "told"

    def read(self) -> Mapping[str, float | None]:
        return {"clock_mhz": 1980.0, "power_watts": math.nan, "throttled": None}

    def close(self) -> None:
        pass


class Broken:
    name = "broken"

    def read(self) -> Mapping[str, float | None]:
        raise OSError("the driver is gone")

    def close(self) -> None:
        raise OSError("the driver is gone")


class Garbage:
    name = "garbage"

    def read(self) -> Mapping[str, float | None]:
        return ["no", "table"]  # type: ignore[return-value]

    def close(self) -> None:
        pass


def test_what_fails_or_is_no_number_is_left_out() -> None:
    (sample,) = read_devices([Broken(), Told(), Garbage()], 5.0)
    assert (sample.sampler, sample.unix_seconds) == ("told", 5.0)
    assert sample.values == {"clock_mhz": 1980.0, "power_watts": None, "throttled": None}


def test_host_and_device_are_sampled_together() -> None:
    with Watch(os.getpid(), [Told()]) as watch:
        time.sleep(1.3)
    assert len(watch.host_samples) == len(watch.device_samples) == 1
    assert watch.host_samples[0].unix_seconds == watch.device_samples[0].unix_seconds


def test_a_sampler_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Told):
        def read(self) -> Mapping[str, float | None]:
            time.sleep(30)
            return {}

    monkeypatch.setattr("bench.sampling.LAST_SAMPLE_SECONDS", 0.2)
    began = time.monotonic()
    with Watch(os.getpid(), [Hanging()]):
        time.sleep(1.1)
    assert time.monotonic() - began < 5


class Closable(Told):
    closed = 0

    def close(self) -> None:
        self.closed += 1


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_every_sampler_is_closed_once_also_beside_one_that_fails() -> None:
    first, last = Closable(), Closable()
    with Watch(os.getpid(), [first, Broken(), last]):
        assert (first.closed, last.closed) == (0, 0)
    assert (first.closed, last.closed) == (1, 1)


def test_samplers_are_closed_when_the_run_is_interrupted() -> None:
    sampler = Closable()
    with pytest.raises(KeyboardInterrupt), Watch(os.getpid(), [sampler]):
        raise KeyboardInterrupt
    assert sampler.closed == 1


def test_one_that_hangs_while_closing_is_left_behind_and_keeps_no_other_open(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Told):
        def close(self) -> None:
            time.sleep(30)

    monkeypatch.setattr("bench.sampling.LAST_SAMPLE_SECONDS", 0.5)
    began, other = time.monotonic(), Closable()
    with Watch(os.getpid(), [Hanging(), other]):
        pass
    assert time.monotonic() - began < 5
    assert other.closed == 1


def test_other_work_is_seen() -> None:
    """A process that nobody measures keeps a processor busy: the sabotage behind the gate quiet-host."""
    with (
        subprocess.Popen(["sleep", "30"]) as worker,
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy,
    ):
        try:
            with Watch(worker.pid) as watch:
                time.sleep(2.3)
        finally:
            busy.kill()
            worker.kill()
    others = [sample.other_cpus for sample in watch.host_samples]
    assert all(other is not None and other > 0.3 for other in others), others


def test_the_time_of_a_worker_is_that_of_its_ranks_too() -> None:
    """A rank is a child that lives as long as the job: it is no other work on the host."""
    spin = "import time\nend = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass\ntime.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", spin]) as rank:
        before = _processor_seconds(os.getpid())
        deadline = time.monotonic() + 20
        while _processor_seconds(rank.pid) < 0.4 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert _processor_seconds(os.getpid()) - before >= 0.3
        rank.kill()
