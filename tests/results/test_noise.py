"""The noise of a machine: each kind is found where it was put, and nowhere else."""

import math
import random
from pathlib import Path

import pytest
from builders import make_record
from made_up_cases import case

from results.noise import by_windows, main, noise_of, noise_rows, self_comparison_line
from results.record import RunRecord
from results.stats import paired_ratio, slope_interval
from results.store import save
from results.summary import CaseSummary, summarise


def measured(
    runs: int, *, within: float = 0.0, between: float = 0.0, drift: float = 0.0, lag: float = 0.0
) -> CaseSummary:
    """Runs of 50 windows with normal noise of each kind."""
    chance, records = random.Random(1), []
    for number in range(runs):
        level = chance.gauss(0, between) + drift * number / (runs - 1)
        records.append(_run(number, [level + noise for noise in _correlated(chance, 50, within, lag)]))
    return summarise("case", records)


def _correlated(chance: random.Random, count: int, deviation: float, lag: float) -> list[float]:
    values = [chance.gauss(0, deviation)]
    while len(values) < count:
        values.append(lag * values[-1] + math.sqrt(1 - lag**2) * chance.gauss(0, deviation))
    return values


def _run(number: int, logs: list[float]) -> RunRecord:
    seconds = [math.exp(-log) for log in logs]
    starts = [10.0 + sum(seconds[:i]) for i in range(len(seconds))]
    windows = [
        {"start_seconds": start, "seconds": one, "steps": 4, "tokens": 1024, "batch_wait_seconds": 0.0}
        for start, one in zip(starts, seconds, strict=True)
    ]
    return make_record(round_=number, measurement__windows=windows, losses=[5.5 * 0.98**i for i in range(17 + 200)])


def test_noise_within_runs() -> None:
    noise = noise_of(measured(20, within=0.03))
    assert noise.within_run == pytest.approx(0.03, rel=0.1)
    assert noise.window_lag == pytest.approx(-1 / 50, abs=0.08)
    assert noise.between_runs == pytest.approx(0.03 / math.sqrt(50), rel=0.4)


def test_noise_between_runs() -> None:
    noise = noise_of(measured(40, within=0.001, between=0.02))
    assert noise.between_runs == pytest.approx(0.02, rel=0.25)
    assert noise.within_run == pytest.approx(0.001, rel=0.1)


def test_correlated_windows() -> None:
    assert noise_of(measured(20, within=0.03, lag=0.7)).window_lag == pytest.approx(0.65, abs=0.1)


def test_a_drift_is_the_change_from_the_first_round_to_the_last() -> None:
    drift = noise_of(measured(10, within=0.002, drift=-0.05)).drift
    assert drift is not None
    assert drift.estimate == pytest.approx(math.exp(-0.05), rel=0.003)
    assert drift.high is not None
    assert drift.high < 1


def test_a_line_through_noise_covers_no_change() -> None:
    """The slope's interval is Student's: 95 % of pure noise holds 1."""
    chance, trials = random.Random(0), 2000
    held = 0
    for _ in range(trials):
        interval = slope_interval([0, 1, 2, 3, 4], [chance.gauss(0, 0.02) for _ in range(5)])
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 1 <= interval.high
    assert held / trials == pytest.approx(0.95, abs=0.015)


def test_too_few_runs_leave_blanks() -> None:
    assert noise_rows([summarise("one", [make_record()])]) == [("one", "1", "0.0%", "-", "-", "-")]


def test_rows_are_text() -> None:
    ((label, runs, within, lag, between, drift),) = noise_rows([measured(5, within=0.03, between=0.01)])
    assert (label, runs) == ("case", "5")
    assert within.endswith("%")
    assert lag.startswith(("+", "-"))
    assert between.endswith("%")
    assert "±" in drift


def test_what_a_self_comparison_says() -> None:
    same = [math.log(1000 + noise) for noise in (0, 10, -10, 5, -5)]
    assert (
        "as it should; of this case, with 5 runs a side, a difference must exceed about 2.6%"
        in self_comparison_line(paired_ratio(same, same[::-1]), 0.02)
    )
    assert "once in twenty" in self_comparison_line(paired_ratio(same, [log + 0.1 for log in same]), 0.02)
    assert "too few ranked runs" in self_comparison_line(paired_ratio(same[:2], same[:2]), 0.02)


def test_records_of_one_case_are_enough() -> None:
    assert noise_of(summarise("x", case("torch-cpu", 1000.0))).runs == 5


def test_longer_runs_are_quieter_only_as_far_as_windows_are_independent() -> None:
    alone, shared = by_windows(measured(40, within=0.04)), by_windows(measured(40, within=0.004, between=0.02))
    assert alone[32] == pytest.approx(alone[1] / math.sqrt(32), rel=0.4)
    assert shared[32] == pytest.approx(shared[1], rel=0.1), "what a process has in common, its windows cannot average"


def test_the_command_prints_every_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for record in [*case("torch-cpu", 1000.0), *case("jax-cpu", 900.0, place__case_index=1)]:
        save(record, tmp_path)
    main([tmp_path])
    said = capsys.readouterr().out
    assert "between runs of so many windows: 1: 0.8%" in said
    assert "jax-cpu against torch-cpu: ±" in said
