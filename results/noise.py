"""How noisy a machine is, from the runs of one case: within a run, between runs, and over a suite.

.venv/bin/python -m results.noise results/runs/A
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import typer

from results.compare import group_cases, throughput_ratio
from results.record import RunRecord
from results.stats import Interval, slope_interval, welch_ratio
from results.store import load_all
from results.summary import CaseSummary, log_throughput


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Relative standard deviations and changes of the throughput of one case."""

    runs: int
    within_run: float | None
    """Of the windows of a run from its mean, pooled over the runs; None with one window a run."""
    window_lag: float | None
    """Correlation of a window with the one before it in its run."""
    between_runs: float | None
    """Of the runs' means; None with one run."""
    drift: Interval | None
    """Last round over first along a straight line through the runs; None under three runs."""


def noise_of(case: CaseSummary) -> Noise:
    """The noise of a case's ranked runs of one suite."""
    runs = [_window_logs(record) for record in case.ranked]
    logs = [log_throughput(record) for record in case.ranked]
    rounds = [float(record.place.round) for record in case.ranked]
    return Noise(
        runs=len(runs),
        within_run=_pooled_deviation(runs),
        window_lag=_lag(runs),
        between_runs=statistics.stdev(logs) if len(logs) > 1 else None,
        drift=slope_interval(rounds, logs) if len(set(rounds)) > 2 else None,
    )


def _window_logs(record: RunRecord) -> list[float]:
    windows = record.measurement.windows if record.measurement else ()
    return [math.log(window.tokens / window.seconds) for window in windows]


def _residuals(runs: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[log - statistics.fmean(logs) for log in logs] for logs in runs]


def _pooled_deviation(runs: Sequence[Sequence[float]]) -> float | None:
    freedom = sum(len(logs) - 1 for logs in runs)
    squares = sum(residual**2 for residuals in _residuals(runs) for residual in residuals)
    return math.sqrt(squares / freedom) if freedom > 0 else None


def _lag(runs: Sequence[Sequence[float]]) -> float | None:
    """Pooled lag-1 autocorrelation; biased towards -1/n in runs of n windows, which few windows cannot avoid."""
    residuals = _residuals(runs)
    squares = sum(one**2 for run in residuals for one in run)
    products = sum(before * after for run in residuals for before, after in pairwise(run))
    return products / squares if squares > 0 else None


HEADINGS = ("case", "runs", "within a run", "lag-1", "between runs", "drift over the suite")


def noise_rows(cases: Sequence[CaseSummary]) -> list[tuple[str, ...]]:
    """One row of text a case, under `HEADINGS`."""
    return [_row(case.label, noise_of(case)) for case in cases]


def _row(label: str, noise: Noise) -> tuple[str, ...]:
    return (
        label,
        str(noise.runs),
        "-" if noise.within_run is None else f"{noise.within_run:.1%}",
        "-" if noise.window_lag is None else f"{noise.window_lag:+.2f}",
        "-" if noise.between_runs is None else f"{noise.between_runs:.1%}",
        "-" if noise.drift is None else _change(noise.drift),
    )


def _change(drift: Interval) -> str:
    half = drift.half_width
    return f"{drift.estimate - 1:+.1%}" + ("" if half is None else f" ±{half:.1%}")


def self_comparison_line(ratio: Interval, margin: float) -> str:
    """What it means that a case was, or was not, told apart from itself."""
    if ratio.low is None or ratio.high is None or ratio.half_width is None:
        return "A/A: too few ranked runs to say anything; three a side are the least"
    ends = f"{ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
    if ratio.low <= 1 <= ratio.high:
        return (
            f"A/A: the same case costs {ends} times itself, as it should; of this case, with {ratio.runs} runs a side, "
            f"a difference must exceed about {ratio.half_width + margin:.1%} for an even chance of a verdict"
        )
    return (
        f"A/A: the same case costs {ends} times itself. Chance does so once in twenty; if it does so again, this "
        "machine is not steady enough for its intervals: see the noise above, and stop what else runs"
    )


def by_windows(case: CaseSummary) -> dict[int, float]:
    """Between-run deviation if each run had ended after so many of its windows: 1, 2, 4, ... of them."""
    runs = [[math.exp(-log) for log in _window_logs(record)] for record in case.ranked]
    most = min(map(len, runs))
    counts = [2**power for power in range(most.bit_length()) if 2**power <= most]
    return {count: statistics.stdev(-math.log(math.fsum(seconds[:count])) for seconds in runs) for count in counts}


def main(folders: list[Path]) -> None:
    """Print the noise of the records in these folders, and what longer runs and pairing make of it."""
    for folder in folders:
        cases = [case for case in group_cases({"": load_all([folder])}) if len(case.ranked) > 1]
        for row in [HEADINGS, *noise_rows(cases)]:
            print("  ".join(f"{cell:>12}" for cell in row))
        for case in cases:
            shorter = ", ".join(f"{count}: {deviation:.1%}" for count, deviation in by_windows(case).items())
            print(f"{case.label}: between runs of so many windows: {shorter}")
        for case in cases[1:]:
            paired, apart = throughput_ratio(case, cases[0]), _as_if_apart(case, cases[0])
            print(
                f"{case.label} against {cases[0].label}: ±{paired.half_width or math.nan:.1%} in turns, "
                f"±{apart.half_width or math.nan:.1%} if the same runs had not been paired"
            )


def _as_if_apart(ours: CaseSummary, theirs: CaseSummary) -> Interval:
    mine, other = ([log_throughput(record) for record in case.ranked] for case in (ours, theirs))
    return welch_ratio(mine, other)


if __name__ == "__main__":
    typer.run(main)
