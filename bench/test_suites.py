"""The cases of a suite as pytest-benchmark's: `pytest bench --suite cpu`, or make bench-pytest."""

from typing import Any

import pytest

from bench.replay import Measured


@pytest.mark.timeout(0)  # each worker has its suite's limit
def test_train_step(measured: Measured, benchmark: Any) -> None:
    """Fails where a run failed or lost its rank; the number is shown nevertheless."""
    benchmark.extra_info.update(measured.extra_info)
    benchmark.pedantic(lambda: None, rounds=measured.rounds)
    assert not measured.problem, measured.problem
