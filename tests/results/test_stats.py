"""Intervals: against textbook values, by simulation, and as properties."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.stats import FEWEST_RUNS, host_mean_interval, host_ratio, mean_interval, paired_ratio, welch_ratio

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


@pytest.mark.parametrize(("deviation_of_few", "deviation_of_many"), [(0.03, 0.03), (0.04, 0.02)])
def test_lost_runs_do_not_narrow_an_interval_too_far(deviation_of_few: float, deviation_of_many: float) -> None:
    """Three runs against ten: uncapped, Welch's degrees of freedom would cover 93.5 and 92.8 %."""
    chance, covered, trials = random.Random(0), 0, 6000
    for _ in range(trials):
        few = [chance.gauss(0, deviation_of_few) for _ in range(3)]
        many = [chance.gauss(0, deviation_of_many) for _ in range(10)]
        interval = welch_ratio(few, many)
        assert interval.low is not None
        assert interval.high is not None
        covered += interval.low <= 1 <= interval.high
    assert covered / trials >= 0.95 - 2 * math.sqrt(0.95 * 0.05 / trials)


def test_the_cap_leaves_equal_numbers_alone() -> None:
    """Equal variances and numbers: 2 (n - 1) degrees of freedom, t(0.975, 4) = 2.776."""
    values = [-0.01, 0.0, 0.01]
    assert welch_ratio(values, values).half_width == pytest.approx(2.7764 * 0.01 * math.sqrt(2 / 3), rel=1e-4)


def test_the_unit_is_the_host_where_there_are_several() -> None:
    """Runs of one host say nothing of another: more of them on two hosts narrow nothing."""
    ours, theirs = [[0.0] * 3, [0.02] * 3], [[0.1] * 3, [0.12] * 3]
    ratio, more = host_ratio(ours, theirs), host_ratio([host * 9 for host in ours], theirs)
    assert (ratio.runs, ratio.unit, ratio.method) == (2, "hosts", "Welch t on host means")
    assert ratio.estimate == pytest.approx(math.exp(-0.1))
    assert ratio.half_width == pytest.approx(4.3027 * 0.01 * math.sqrt(2), rel=1e-4), "t(0.975, 2) = 4.303"
    assert more.half_width == pytest.approx(ratio.half_width)
    alone = host_mean_interval(ours)
    assert (alone.runs, alone.unit) == (2, "hosts")
    assert alone.half_width == pytest.approx(12.706 * 0.01, rel=1e-4), "t(0.975, 1) = 12.706"


def test_one_host_gives_no_interval_of_its_type() -> None:
    assert host_mean_interval([[0.0] * 9]).low is None
    assert host_ratio([[0.0] * 9], [[0.0] * 9, [0.1] * 9]).low is None
