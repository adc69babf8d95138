"""The timing loop against a scripted session and a clock that only the session moves: exact records."""

import gc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from backends.fake import FakeClock, FakeSession, Script
from bench.measure import SELF_CHECKS, measure, quiet_process
from bench.plan import MeasurePlan
from results.record import Measurement, StartUp
from workloads.data import Batch

PLAN = MeasurePlan(windows=5, window_seconds=0.1, minimum_steps_per_window=4, warmup_minimum_steps=20)
START_UP = StartUp(cache="cold", import_seconds=1.0, open_seconds=2.0, first_step_seconds=0.0)


def run(script: Script, plan: MeasurePlan = PLAN, batch_seconds: float = 0.0) -> tuple[Measurement, FakeSession]:
    clock = FakeClock()
    session = FakeSession(script, clock.sleep)

    def batches(step: int) -> Batch:
        clock.sleep(batch_seconds)
        empty = np.zeros((1, 1), np.int32)
        return Batch(step, empty, empty)

    return measure(session, batches, tokens_per_step=256, plan=plan, start_up=START_UP, clock=clock), session


def test_the_declared_windows_are_measured_exactly() -> None:
    measured, _ = run(Script(step_seconds=lambda step: 2.0 if step == 0 else 0.01))
    assert measured.start_up.first_step_seconds == 2.0
    assert measured.steps_per_window == 10
    assert [window.steps for window in measured.windows] == [10] * 5
    assert [window.seconds for window in measured.windows] == pytest.approx([0.1] * 5)
    assert [window.tokens for window in measured.windows] == [2560] * 5
    starts = [window.start_seconds for window in measured.windows]
    assert np.diff(starts) == pytest.approx([0.1] * 4), "windows follow one another; none is dropped"


def test_every_step_is_kept_from_the_first() -> None:
    measured, _ = run(Script())
    assert [step.step for step in measured.steps] == list(range(len(measured.steps)))
    in_windows = sum(w.steps for w in (*measured.warmup, *measured.windows))
    in_checks = sum(3 * check.steps for check in measured.self_checks)
    assert len(measured.steps) == 1 + in_windows + in_checks


def test_the_clock_is_read_only_when_the_device_is_proven_idle() -> None:
    """Around every batch of steps: barrier, then read-back, before and after."""
    _, session = run(Script())
    calls = [call for call in session.calls if call != "close"]
    for before, after in pairwise(calls):
        assert (before == "sync") == (after == "losses"), "a barrier is always followed by a read-back"
    assert calls[:2] == ["sync", "losses"]
    assert calls[-2:] == ["sync", "losses"]


def test_a_barrier_that_returns_early_is_survived() -> None:
    """The read-back waits where the barrier does not: windows are as long as with an honest one."""
    honest, _ = run(Script())
    early, _ = run(Script(sync_waits=False))
    assert [w.seconds for w in early.windows] == pytest.approx([w.seconds for w in honest.windows])


def test_the_least_steps_of_a_window_are_kept() -> None:
    measured, _ = run(Script(step_seconds=lambda step: 1.0))
    assert [window.steps for window in measured.windows] == [4] * 5
    assert {check.steps for check in measured.self_checks} == {1}


def test_warm_up_lasts_until_step_time_is_steady() -> None:
    measured, _ = run(Script(step_seconds=lambda step: 0.01 + 0.05 * 0.99**step))
    assert measured.warmup_steady is True
    rates = [window.seconds / window.steps for window in measured.warmup]
    assert rates[-1] < 0.9 * rates[3]


def test_warm_up_that_never_settles_ends_and_says_so() -> None:
    plan = replace(PLAN, warmup_maximum_seconds=5.0)
    measured, _ = run(Script(step_seconds=lambda step: 0.01 * 1.05**step), plan)
    assert measured.warmup_steady is False
    assert len(measured.windows) == plan.windows


def test_warm_up_covers_the_reference_trajectory() -> None:
    measured, _ = run(Script(step_seconds=lambda step: 0.5))
    assert 1 + sum(window.steps for window in measured.warmup) >= PLAN.warmup_minimum_steps


def test_the_self_check_sees_what_a_synchronisation_costs() -> None:
    measured, _ = run(Script())
    assert len(measured.self_checks) == SELF_CHECKS
    for check in measured.self_checks:
        assert check.twice_seconds == pytest.approx(2 * check.once_seconds)
        assert check.idle_seconds == 0.0


def test_compilation_inside_a_window_is_counted() -> None:
    honest, _ = run(Script())
    late, _ = run(Script(compiles_at=frozenset({0, len(honest.steps) - 1})))
    assert honest.compiled_graphs_before == honest.compiled_graphs_after == 1
    assert (late.compiled_graphs_before, late.compiled_graphs_after) == (1, 2)


def test_waiting_for_batches_is_inside_the_window_and_counted() -> None:
    measured, _ = run(Script(), batch_seconds=0.005)
    assert [window.seconds for window in measured.windows] == pytest.approx([0.105] * 5)
    assert [window.batch_wait_seconds for window in measured.windows] == pytest.approx([0.035] * 5)


def test_a_cold_start_is_the_first_step_alone() -> None:
    measured, session = run(Script(step_seconds=lambda step: 3.0), replace(PLAN, windows=0))
    assert measured.start_up.first_step_seconds == 3.0
    assert measured.windows == measured.warmup == ()
    assert measured.warmup_steady is None
    assert session.calls.count("step") == 1


def test_a_loss_that_is_not_a_number_is_kept_as_none() -> None:
    measured, _ = run(Script(loss=lambda step: float("nan") if step == 3 else 1.0))
    assert measured.steps[3].loss is None
    assert measured.steps[4].loss == 1.0


def test_no_garbage_is_collected_inside_windows() -> None:
    with quiet_process():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
