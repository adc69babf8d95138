"""Intervals: against textbook values, by simulation, and as properties."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.stats import FEWEST_RUNS, mean_interval, paired_ratio, welch_ratio

logs = st.lists(st.floats(-1, 1), min_size=3, max_size=10)


def test_one_sample_t_of_a_textbook() -> None:
    """Mean 0, standard deviation 1, n = 5: half-width t(0.975, 4) / sqrt 5 = 2.776 / 2.236."""
    values = [-math.sqrt(2), 0.0, 0.0, 0.0, math.sqrt(2)]
    interval = mean_interval(values)
    assert interval.half_width == pytest.approx(2.7764 / math.sqrt(5), rel=1e-4)
    assert interval.estimate == pytest.approx(1.0)


def test_pairing_removes_what_a_round_has_in_common() -> None:
    drift = [0.0, 0.1, 0.2, 0.3, 0.4]
    ours, theirs = [d + 0.05 + e for d, e in zip(drift, [0, 1e-3, 0, -1e-3, 0], strict=True)], drift
    paired, welch = paired_ratio(ours, theirs), welch_ratio(ours, theirs)
    assert paired.estimate == pytest.approx(math.exp(0.05))
    assert paired.half_width is not None
    assert welch.half_width is not None
    assert paired.half_width < 0.01 < welch.half_width


def test_too_few_runs_give_no_interval() -> None:
    for runs in range(1, FEWEST_RUNS):
        assert mean_interval([0.0] * runs).low is None
        assert paired_ratio([0.0] * runs, [0.0] * runs).high is None
        assert welch_ratio([0.0] * 9, [0.0] * runs).half_width is None


@given(logs, st.randoms())
def test_order_changes_nothing(values: list[float], shuffle: random.Random) -> None:
    mixed = list(values)
    shuffle.shuffle(mixed)
    one, other = mean_interval(values), mean_interval(mixed)
    assert one.estimate == pytest.approx(other.estimate)
    assert one.low == pytest.approx(other.low)


@given(logs)
def test_a_ratio_is_antisymmetric(values: list[float]) -> None:
    theirs = [value * 0.5 + 0.1 for value in values]
    for ratio in (paired_ratio, welch_ratio):
        there, back = ratio(values, theirs), ratio(theirs, values)
        assert there.estimate == pytest.approx(1 / back.estimate)
        assert there.high is not None
        assert 1 / there.high == pytest.approx(back.low)


@given(logs, st.floats(0.1, 10))
def test_a_known_factor_scales_everything(values: list[float], factor: float) -> None:
    base, scaled = mean_interval(values), mean_interval(values).times(factor)
    assert scaled.estimate == pytest.approx(base.estimate * factor)
    assert scaled.half_width == pytest.approx(base.half_width, abs=1e-9)


@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize("drift", [0.0, 0.05])
def test_paired_intervals_cover(runs: int, drift: float) -> None:
    """95 % within Monte-Carlo error, with process noise of 3 % and a drift that both sides share."""
    chance, covered, trials = random.Random(0), 0, 2000
    for _ in range(trials):
        shared = [drift * r + chance.gauss(0, drift) for r in range(runs)]
        ours = [s + math.log(1.1) + chance.gauss(0, 0.03) for s in shared]
        theirs = [s + chance.gauss(0, 0.03) for s in shared]
        interval = paired_ratio(ours, theirs)
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 1.1 <= interval.high
    assert covered / trials == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / trials))


def test_welch_intervals_cover() -> None:
    chance, covered, trials = random.Random(0), 0, 2000
    for _ in range(trials):
        ours = [math.log(1.1) + chance.gauss(0, 0.02) for _ in range(5)]
        theirs = [chance.gauss(0, 0.04) for _ in range(5)]
        interval = welch_ratio(ours, theirs)
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 1.1 <= interval.high
    assert covered / trials >= 0.935
