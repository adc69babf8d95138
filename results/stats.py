"""Statistics whose unit is the run, a fresh process: the steps inside one are correlated and add almost nothing.

A run's statistic is the log of its throughput, total tokens over total window seconds: the mean is
what a buyer pays for. Intervals are Student's t on these logs: paired over rounds where cases took turns
on one machine, Welch otherwise.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CONFIDENCE = 0.95
FEWEST_RUNS = 3
"""Under three runs a side there is no interval and no verdict."""

Method = Literal["paired t over rounds", "Welch t on runs", "t on runs", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A positive quantity, estimated on the log scale."""

    estimate: float
    low: float | None
    """Lower end of the 95 % interval; None where there are too few runs."""
    high: float | None
    runs: int
    method: Method

    @property
    def half_width(self) -> float | None:
        """Half the interval on the log scale: about the relative half-width."""
        return None if self.low is None or self.high is None else math.log(self.high / self.low) / 2

    def widened(self, factor: float) -> "Interval":
        """The same estimate with both ends further out by a factor above 1."""
        low = None if self.low is None else self.low / factor
        high = None if self.high is None else self.high * factor
        return Interval(estimate=self.estimate, low=low, high=high, runs=self.runs, method=self.method)

    def times(self, factor: float) -> "Interval":
        """The interval of the quantity times a known positive factor."""
        low = None if self.low is None else self.low * factor
        high = None if self.high is None else self.high * factor
        return Interval(estimate=self.estimate * factor, low=low, high=high, runs=self.runs, method=self.method)


def mean_interval(logs: Sequence[float]) -> Interval:
    """Geometric mean of the runs of one case, with its t interval."""
    return _interval(statistics.fmean(logs), _standard_error(logs), len(logs) - 1, len(logs), "t on runs")


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Ratio ours / theirs of two cases whose i-th values (logs) come from the same round."""
    differences = [one - other for one, other in zip(ours, theirs, strict=True)]
    error = _standard_error(differences)
    return _interval(
        statistics.fmean(differences), error, len(differences) - 1, len(differences), "paired t over rounds"
    )


def welch_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Ratio ours / theirs of two cases that did not take turns (logs); unequal variances.

    Degrees of freedom after Welch (1947) and Satterthwaite (1946).
    """
    errors = [_standard_error(side) for side in (ours, theirs)]
    runs = min(len(ours), len(theirs))
    difference = statistics.fmean(ours) - statistics.fmean(theirs)
    if runs < 2:
        return _interval(difference, 0.0, 0, runs, "Welch t on runs")
    squares = [error**2 for error in errors]
    weight = sum(square**2 / (len(side) - 1) for square, side in zip(squares, (ours, theirs), strict=True))
    freedom = sum(squares) ** 2 / weight if weight > 0 else float(len(ours) + len(theirs) - 2)
    return _interval(difference, math.sqrt(sum(squares)), freedom, runs, "Welch t on runs")


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _interval(mean: float, error: float, freedom: float, runs: int, method: Method) -> Interval:
    if runs < FEWEST_RUNS:
        return Interval(estimate=math.exp(mean), low=None, high=None, runs=runs, method="none")
    reach = _quantile(freedom) * error
    return Interval(
        estimate=math.exp(mean),
        low=math.exp(mean - reach),
        high=math.exp(mean + reach),
        runs=runs,
        method=method,
    )


def _quantile(freedom: float) -> float:
    """Two-sided quantile of Student's t; scipy is imported here because only an interval needs it."""
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))
