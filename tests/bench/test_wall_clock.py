"""Time of day that does not jump."""

import time

import pytest

from bench.measure import Stopwatch
from bench.sampling import Watch
from bench.wall_clock import WallClock


def test_it_goes_on_when_the_machines_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WallClock.now()
    before = clock()
    assert before == pytest.approx(time.time(), abs=1.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= clock() - before < 5


def test_samples_and_windows_keep_to_one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both read the machine's clock before it was set, and agree ever after."""
    parent, worker = Watch(1), WallClock.now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    watch = Stopwatch(None, None, 1, time.perf_counter_ns, worker)  # type: ignore[arg-type]
    assert watch.origin_unix_seconds == pytest.approx(parent._clock(), abs=1.0)
    assert watch.origin_unix_seconds > 1e9
