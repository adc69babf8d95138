"""Whatever ends a worker is one record with a status and a reason, every time, and the next run is untouched."""

from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from reliability.report import Outcomes, repeats
from reliability.worker_faults import FAULTS, SHORT_SECONDS, SOURCE, WorkerFault
from reliability.workshop import PLAN, Ledger, install_plugin, make_campaign, make_case, quick_worker, run

from backends import registry
from bench.plan import Case, MeasurePlan
from results.record import RunRecord


@pytest.fixture(autouse=True)
def _impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(tmp_path / "site", SOURCE, monkeypatch)
    monkeypatch.setattr("bench.process.EXIT_SECONDS", 0.2)
    monkeypatch.setattr("bench.process.SHUTDOWN_SECONDS", 0.01)
    monkeypatch.setattr("bench.process.LAST_EVENTS_SECONDS", 0.1)


def _expected(record: RunRecord, fault: WorkerFault) -> bool:
    return record.status == fault.status and fault.reason in record.reason


def _no_sleeper_is_left() -> bool:
    return not any(process.info["cmdline"] == ["sleep", "60017"] for process in psutil.process_iter(["cmdline"]))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_real_worker(fault: WorkerFault, tmp_path: Path, outcomes: Outcomes) -> None:
    """Beside a healthy case: both cases have their record, and the healthy one is well."""
    variables = {fault.where: fault.python} if fault.python else {}
    cases = [make_case("faulty", fault.backend, **variables), make_case("healthy")]
    plan = replace(PLAN, time_limit_seconds=SHORT_SECONDS) if fault.hangs else PLAN
    campaign = make_campaign(tmp_path / "records", cases, runs=fault.repeats, plan=plan)
    run(campaign)
    records = Ledger(campaign.folder).check_finished(campaign)
    faulty = [record for record in records if record.case.recipe["name"] == "faulty"]
    healthy = [record for record in records if record.case.recipe["name"] == "healthy"]
    assert all(_expected(record, fault) for record in faulty), [(r.status, r.reason, r.stderr_tail) for r in faulty]
    assert {record.status for record in healthy} == {"ok"}
    assert _no_sleeper_is_left()
    reason = f": {faulty[0].reason}" if faulty[0].reason else ""
    outcomes.note("worker", fault.name, f"a record, `{fault.status}`{reason}", fault.repeats)


def test_hundreds_of_quick_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: Outcomes) -> None:
    """Every fault in every round, in random order among all others."""
    points = registry.backend_entry_points()
    monkeypatch.setattr("backends.registry.backend_entry_points", lambda: points)
    monkeypatch.setattr("bench.process.WORKER", quick_worker(tmp_path / "quick"))
    monkeypatch.setenv("ANSWER", str(tmp_path / "quick" / "answer.json"))
    quick = [fault for fault in FAULTS if fault.sh is not None]
    cases = [_quick_case(fault) for fault in quick]
    plan = MeasurePlan(windows=2, window_seconds=0.01, warmup_minimum_steps=20, time_limit_seconds=0.3)
    campaign = make_campaign(tmp_path / "records", cases, runs=repeats(2), plan=plan)
    run(campaign)
    records = Ledger(campaign.folder).check_finished(campaign)
    for fault in quick:
        mine = [record for record in records if record.case.recipe["name"] == fault.name]
        assert len(mine) == campaign.runs
        assert all(_expected(record, fault) for record in mine), [(r.status, r.reason) for r in mine]
        outcomes.count("worker", fault.name, campaign.runs)
    assert _no_sleeper_is_left()


def _quick_case(fault: WorkerFault) -> Case:
    variable = {fault.where: fault.python} if fault.where == "FAULT_IN_PARENT" else {"FAULT": fault.sh or ""}
    return make_case(fault.name, fault.backend, **variable)
