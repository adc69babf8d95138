"""The mean of numbers that strangers wrote down."""

import math
from collections.abc import Sequence


def mean_of(values: Sequence[float]) -> float:
    """Of finite numbers however large: their sum need not be one that a float can hold."""
    return math.fsum(value / len(values) for value in values)
