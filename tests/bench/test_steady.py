"""The warm-up rule: ends on stationary noise, waits for a real trend. Simulated with the noise measured on CPUs."""

import random
from collections.abc import Callable

from bench.plan import MeasurePlan
from bench.steady import SAMPLE_WINDOWS, is_steady

STEPS_PER_WINDOW = 4
FRACTION = MeasurePlan().steady_fraction


def windows(count: int, seed: int, trend: Callable[[int], float] = lambda window: 1.0) -> list[float]:
    """Mean step times of windows of steps with a deviation of 6.5 % and lag-1 correlation 0.7."""
    chance, state, found = random.Random(seed), 0.0, []
    for window in range(count):
        total = 0.0
        for _ in range(STEPS_PER_WINDOW):
            state = 0.7 * state + chance.gauss(0, 0.065 * (1 - 0.7**2) ** 0.5)
            total += trend(window) * (1 + state)
        found.append(total / STEPS_PER_WINDOW)
    return found


def test_stationary_noise_is_called_steady() -> None:
    """At most 5 % false alarms, correlation included."""
    trials = 4000
    alarms = sum(not is_steady(windows(2 * SAMPLE_WINDOWS, seed), FRACTION) for seed in range(trials))
    assert alarms / trials <= 0.05


def test_a_real_trend_is_not_steady() -> None:
    trials = 400
    missed = sum(
        is_steady(windows(2 * SAMPLE_WINDOWS, seed, lambda window: 1.6 - 0.1 * window), FRACTION)
        for seed in range(trials)
    )
    assert missed / trials <= 0.05


def test_too_few_windows_are_never_steady() -> None:
    assert not is_steady([1.0] * (2 * SAMPLE_WINDOWS - 1), FRACTION)
