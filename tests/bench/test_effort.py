"""A precision to reach and a budget to keep: what may be asked, what is said, where it stops, how it goes on."""

import os
import re
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from made_up_runs import made_up_worker
from power_cut import power_cut_after

from bench.cli import app
from bench.effort import Budget, chosen_effort, half_width
from bench.errors import EXPECTED, UsageError
from bench.interruption import Interrupted, TimeIsUp, limited, orderly_stop
from bench.process import WorkerEnd
from results.costs import PriceChoice
from results.record import RunRecord
from results.report import make_sections
from results.store import load_all, record_files

TODAY = PriceChoice(as_of=date(2026, 11, 22))
PRICED = PriceChoice(as_of=date(2026, 11, 22), usd_per_hour=6.0)
RUN = ["run", "--workload", "smoke", "--backend", "torch-cpu", "jax-cpu", "--cold-starts", "0", "--out", "records"]


@pytest.mark.parametrize(("text", "share"), [("3%", 0.03), (" 0.5 % ", 0.005), ("50%", 0.5)])
def test_a_percentage(text: str, share: float) -> None:
    assert half_width(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["3", "0.03", "bf16-mixed", "-3%", "0%", "99%", "3%%", "", "1e1%", "nan%", "٣%x"])
def test_what_is_no_precision_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        half_width(text)
    assert caught.value.hint


def test_budgets_in_minutes_and_in_dollars() -> None:
    def seconds(minutes: float | None, usd: float | None) -> float:
        budget = chosen_effort(None, minutes, usd, PRICED).budget
        assert budget is not None
        return budget.seconds

    assert seconds(2, None) == 120
    assert seconds(None, 1.0) == 600
    assert seconds(2, 1.0) == 120, "the smaller one counts"
    assert seconds(20, 1.0) == 600
    assert chosen_effort(None, None, None, PRICED).budget is None


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_a_budget_is_positive(minutes: float) -> None:
    with pytest.raises(UsageError, match="--budget-minutes"):
        chosen_effort(None, minutes, None, TODAY)


def test_dollars_need_a_price() -> None:
    with pytest.raises(UsageError, match="needs the price of this machine") as caught:
        chosen_effort(None, None, 1.0, TODAY)
    assert "--budget-minutes" in caught.value.hint
    rented = PriceChoice(as_of=TODAY.as_of, instance="c8i.2xlarge")
    assert chosen_effort(None, None, 1.0, rented).budget is not None


def test_what_is_left_of_a_budget() -> None:
    assert Budget(seconds=10, began=time.monotonic() - 4).left_seconds == pytest.approx(6, abs=1)


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs that differ by 2 % and take no time; the folder of the records."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.campaign.run_worker", made_up_worker(0.02))
    return tmp_path / "records"


def call(*more: str) -> int | None:
    return app([*RUN, *more], standalone_mode=False)


def timed(folder: Path) -> list[RunRecord]:
    return load_all(record_files(folder))


def test_a_pilot_plans_and_the_interval_is_as_narrow_as_asked(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("--precision", "3%") == 0
    said = capfd.readouterr()
    (asked,) = re.findall(
        r"pilot: smoke: jax-cpu against torch-cpu: ±.*% after 5 runs; ±3.0% takes (\d+) runs", said.err
    )
    records = timed(noisy)
    assert len(records) == 2 * int(asked) > 10
    assert {record.place.pilot_runs for record in records} == {5}
    ((comparison,),) = [section.comparisons for section in make_sections({"": records}, TODAY)]
    assert comparison.cost_ratio is not None
    assert comparison.cost_ratio.half_width is not None
    assert comparison.cost_ratio.half_width <= 0.03
    assert "planned by a pilot of 5" in said.out
    assert call("--precision", "3%") == 0
    assert "finished already, nothing was measured" in capfd.readouterr().err
    assert timed(noisy) == records


def test_a_pilot_that_is_enough_ends_it(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("--precision", "30%") == 0
    assert "takes 5 runs" in capfd.readouterr().err
    assert len(timed(noisy)) == 10


@pytest.mark.parametrize("cut", [3, 13])
def test_a_target_that_was_interrupted_goes_on_to_the_same_end(
    noisy: Path, capfd: pytest.CaptureFixture[str], cut: int
) -> None:
    """Stopped in its pilot or after it: the pilot alone decides, so the end is the same."""
    with power_cut_after(cut + 1):
        call("--precision", "3%")
    pilot = {r.run_id for r in timed(noisy) if r.place.round < 5 and cut > 10}
    capfd.readouterr()
    assert call("--precision", "3%") == 0
    assert capfd.readouterr().err.count("pilot: smoke") == 1
    assert pilot <= {r.run_id for r in timed(noisy)}
    assert len({r.place.suite_id for r in timed(noisy)}) == 1


def test_a_suite_without_a_target_is_another_one(noisy: Path) -> None:
    assert call("--runs", "5") == 0
    with pytest.raises(UsageError, match="number of runs"):
        call("--precision", "3%")


def test_a_pilot_of_two_is_refused(noisy: Path) -> None:
    with pytest.raises(UsageError, match="--precision needs a pilot"):
        call("--precision", "3%", "--runs", "2")


def test_what_no_number_of_runs_reaches_is_capped_and_said(
    noisy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.measuring.MOST_RUNS", 7)
    assert call("--precision", "0.1%") == 0
    assert "of which 7 are made" in capfd.readouterr().err
    assert len(timed(noisy)) == 14


def test_the_plan_is_said_before_anything_runs(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("--runs", "3", "--usd-per-hour", "6") == 0
    said = capfd.readouterr().err
    assert said.index("plan: 2 cases x (0 cold starts and 3 runs) = 6 runs; 6 to make") < said.index("[1/6]")
    assert "0.5000 USD at 6 USD/h (user) (a guess" in said, "6 runs of 50 s"
    assert call("--runs", "4", "--usd-per-hour", "6", "--out", "results/runs/20261122T100000Z-x") == 0
    capfd.readouterr()
    assert call("--runs", "5", "--out", "elsewhere") == 0
    assert "about 10 s (as such runs took here before)" in capfd.readouterr().err


def test_it_stops_after_the_last_round_that_fits(
    noisy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Rounds of two runs of 10 s in 45 s: two of them, and 5 s that are left."""
    spent = _with_a_clock(monkeypatch, run_seconds=10.0)
    assert call("--budget-minutes", "0.75") == 0
    said = capfd.readouterr()
    assert "budget: 45 s; it stops in time" in said.err
    assert "it ends here, after 2 of 5 runs of each case; under 3 there is no verdict" in said.err
    assert spent() == 40
    assert len(timed(noisy)) == 4
    assert "the benchmark itself: 4 recorded runs, 0.7 min of machine time" in said.out
    assert call("--budget-minutes", "0.75") == 0
    assert call() == 0
    assert len(timed(noisy)) == 10, "later invocations go on, each with a budget of its own"


def test_a_target_stops_within_its_budget(
    noisy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _with_a_clock(monkeypatch, run_seconds=10.0)
    assert call("--precision", "3%", "--budget-minutes", "2.1") == 0
    assert len(timed(noisy)) == 12, "the pilot, and one round more"
    assert "it ends here, after 6 of" in capfd.readouterr().err


def test_a_run_that_would_overspend_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody knew that it takes so long: the budget ends it, what was finished stays."""
    monkeypatch.chdir(tmp_path)
    ends, quick = iter([0.0, 0.0, 0.0, 60.0]), made_up_worker(0.02, wall_seconds=0.1)

    def worker(job: str, *more: object) -> WorkerEnd:
        time.sleep(next(ends))
        return quick(job, *more)

    monkeypatch.setattr("bench.campaign.run_worker", worker)
    began = time.monotonic()
    assert call("--budget-minutes", "0.05") == 0
    assert time.monotonic() - began < 15
    said = capfd.readouterr()
    assert "it ends here, after 1 of 5 runs of each case" in said.err
    assert said.out.count(" 1/1 ") == 2, "of the round that was cut nothing is shown"
    monkeypatch.setattr("bench.campaign.run_worker", quick)
    assert call() == 0
    assert len(timed(tmp_path / "records")) == 10
    assert len(list((tmp_path / "records").glob("*.superseded-*"))) == 1


def test_a_budget_too_small_for_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.campaign.run_worker", lambda *_: time.sleep(60))
    assert call("--budget-minutes", "0.02") == 3
    said = capfd.readouterr().err
    assert "that may be too little: about 0 of 5 rounds fit" in said
    assert "it ends here, after 0 of 5 runs of each case; under 3 there is no verdict; no round was over" in said
    assert not (tmp_path / "records").exists()


def test_a_budget_below_one_round_gets_nowhere_and_says_so(
    noisy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _with_a_clock(monkeypatch, run_seconds=10.0)
    assert call("--budget-minutes", "0.4") == 0
    capfd.readouterr()
    assert call("--budget-minutes", "0.2") == 3
    said = capfd.readouterr().err
    assert "no round was over in time" in said
    assert "finished already" not in said
    assert len(timed(noisy)) == 2


def test_what_took_too_long_before_is_not_begun(
    noisy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The forecast that is announced is the one that decides."""
    spent = _with_a_clock(monkeypatch, run_seconds=10.0)
    assert call("--runs", "3", "--out", "results/runs/20261122T100000Z-x") == 0
    before = spent()
    assert call("--budget-minutes", "0.2") == 3
    assert "about 0 of 5 rounds fit" in capfd.readouterr().err
    assert spent() == before


def test_failing_runs_keep_the_budget_in_whole_rounds(noisy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spent = _with_a_clock(monkeypatch, run_seconds=10.0, failing="jax-cpu")
    assert call("--budget-minutes", "0.75") == 0
    assert spent() == 40
    assert {record.status for record in timed(noisy)} == {"ok", "failed"}


def test_with_again_the_hint_names_the_folder(
    noisy: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    _with_a_clock(monkeypatch, run_seconds=10.0)
    assert call("--budget-minutes", "0.4", "--again") == 0
    assert "the same command, without --again and with --out records, goes on from there" in capfd.readouterr().err


def test_a_pilot_shares_its_caches_with_what_it_plans(noisy: Path) -> None:
    assert call("--precision", "3%") == 0
    cold = [r for r in timed(noisy) if r.measurement and r.measurement.start_up.cache == "cold"]
    assert {record.place.round for record in cold} == {0}
    assert len(cold) == 2


def test_another_precision_is_another_suite(noisy: Path) -> None:
    """Else one could ask for more and more until the answer pleases."""
    assert call("--precision", "5%") == 0
    with pytest.raises(UsageError, match="precision to reach"):
        call("--precision", "3%")


@pytest.mark.parametrize("usd_per_hour", [1e-300, 1e300])
def test_a_budget_is_a_time_that_can_be_kept(usd_per_hour: float) -> None:
    with pytest.raises(EXPECTED):
        chosen_effort(None, None, 1.0, PriceChoice(as_of=TODAY.as_of, usd_per_hour=usd_per_hour))
    for minutes in (1e9, 1e-9):
        with pytest.raises(UsageError, match="no time that a suite can take"):
            chosen_effort(None, minutes, None, TODAY)


def test_the_end_of_a_budget_cannot_be_ignored() -> None:
    """An ignored signal is inherited from whoever started us."""
    before = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        with pytest.raises(TimeIsUp), limited(0.05):
            time.sleep(5)
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_suite_that_is_stopped_is_not_disturbed_by_its_budget() -> None:
    def stopped_and_cleaning_up() -> None:
        with orderly_stop(), limited(0.2):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(5)
            finally:
                time.sleep(0.3)

    with pytest.raises(Interrupted):
        stopped_and_cleaning_up()


def _with_a_clock(monkeypatch: pytest.MonkeyPatch, run_seconds: float, failing: str = "") -> Callable[[], int]:
    """A clock that only runs move; what they have moved it by."""
    now, began, quick = [time.monotonic()], time.monotonic(), made_up_worker(0.02, wall_seconds=run_seconds)

    def worker(job: str, *more: object) -> WorkerEnd:
        now[0] += run_seconds
        end = quick(job, *more)
        return replace(end, status="failed", measurement=None) if failing and failing in job else end

    monkeypatch.setattr("bench.effort.time.monotonic", lambda: now[0])
    monkeypatch.setattr("bench.campaign.run_worker", worker)
    return lambda: round(now[0] - began)


def test_a_case_against_itself(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert app(["aa", "--workload", "smoke", "--backend", "torch-cpu", "--out", "records"], standalone_mode=False) == 0
    said = capfd.readouterr().out
    assert "torch-cpu (as-is A)" in said
    assert "A/A: the same case costs" in said
    assert {record.case.recipe["name"] for record in timed(noisy)} == {"as-is A", "as-is B"}
    assert len({record.case.digest for record in timed(noisy)}) == 1


def test_without_a_word_it_takes_what_is_here(noisy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert app(["aa", "--out", "records"], standalone_mode=False) == 0
    assert "bytes-5m" in capfd.readouterr().out
