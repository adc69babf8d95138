"""How long our own code takes, with pytest-benchmark: the harness around a step, and reading records.

Limits are generous, for shared machines; `pytest tests/bench/test_speed.py --benchmark-only` shows the figures.
"""

import time
from pathlib import Path

import numpy as np
import pytest
from builders import make_record
from pytest_benchmark.fixture import BenchmarkFixture

from backends.fake import FakeSession, Script
from bench.measure import Stopwatch
from results.store import load_all, save
from workloads.catalog import find_workload
from workloads.data import Batch, batch_source

EMPTY = Batch(0, np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32))


@pytest.mark.benchmark(group="harness")
def test_a_window_adds_microseconds_to_a_step(benchmark: BenchmarkFixture) -> None:
    session = FakeSession(Script(step_seconds=lambda step: 0.0))
    watch = Stopwatch(session, lambda step: EMPTY, 1, time.perf_counter_ns)
    steps = 100
    benchmark.pedantic(lambda: watch.window(steps), rounds=50, warmup_rounds=5)
    if benchmark.stats:
        assert benchmark.stats.stats.median / steps < 100e-6


@pytest.mark.benchmark(group="harness")
def test_a_batch_of_text_is_cheap(benchmark: BenchmarkFixture) -> None:
    batches = batch_source(find_workload("bytes-5m"))
    benchmark.pedantic(lambda: batches(7), rounds=50, warmup_rounds=5)
    if benchmark.stats:
        assert benchmark.stats.stats.median < 5e-3


@pytest.mark.benchmark(group="records")
def test_reading_a_hundred_records(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    for number in range(100):
        save(make_record(round_=number), tmp_path)
    assert len(benchmark.pedantic(lambda: load_all([tmp_path]), rounds=3)) == 100
    if benchmark.stats:
        assert benchmark.stats.stats.median < 5.0
