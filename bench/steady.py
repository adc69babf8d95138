"""When warm-up is over: an effect size, not a significance test.

Step times are correlated, and tests that assume independence alarm on noise that is perfectly
stationary. So warm-up ends when the mean step time of the last few windows is within a stated
fraction of that of the few before. tests/bench/test_steady.py simulates its false alarms.
"""

from collections.abc import Sequence
from statistics import fmean

SAMPLE_WINDOWS = 3


def is_steady(step_seconds: Sequence[float], fraction: float) -> bool:
    """Whether the last three windows' mean step time is within ``fraction`` of the three before."""
    if len(step_seconds) < 2 * SAMPLE_WINDOWS:
        return False
    last = fmean(step_seconds[-SAMPLE_WINDOWS:])
    before = fmean(step_seconds[-2 * SAMPLE_WINDOWS : -SAMPLE_WINDOWS])
    return abs(last / before - 1) <= fraction
