"""What the reliability tests share: a plug-in that misbehaves on request, quick workers, and what must always hold."""

import json
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from backends.fake import FakeClock, FakeSession, Script
from backends.recipe import Recipe, resolve
from bench.campaign import run_campaign
from bench.forecast import Forecast
from bench.interruption import Interrupted, orderly_stop
from bench.measure import measure
from bench.plan import Case, MeasurePlan
from bench.progress import Display
from bench.schedule import Campaign
from bench.worker import Result
from results.record import Measurement, RunRecord, StartUp
from results.record_file import read_record
from results.store import load_all
from workloads.catalog import find_workload
from workloads.data import Batch
from workloads.spec import Workload

NO_TOKENS = (np.zeros((1, 1), np.int32), np.zeros((1, 1), np.int32))
PLAN = MeasurePlan(windows=2, window_seconds=0.01, warmup_minimum_steps=20, time_limit_seconds=30.0)


def install_plugin(site: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install backends ``mine`` (class Mine of the source) and ``absent`` (class Absent) as a distribution."""
    info = site / "fairchip_mine-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (site / "fairchip_mine.py").write_text(source)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fairchip-mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[fairchip.backends]\nmine = fairchip_mine:Mine\nabsent = fairchip_mine:Absent\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "fairchip_mine", raising=False)


def make_case(name: str, backend: str = "mine", **environment: str) -> Case:
    """The smoke workload on the plug-in; the recipe's name tells cases apart, its variables reach the worker."""
    workload = find_workload("smoke")
    recipe = resolve(Recipe(name=name, track="custom", environment=environment), workload)
    return Case(workload=workload, backend=backend, device_type="fake", recipe=recipe)


def make_campaign(folder: Path, cases: Sequence[Case], runs: int, plan: MeasurePlan = PLAN) -> Campaign:
    return Campaign(suite="test", cases=cases, plan=plan, runs=runs, cold_starts=0, folder=folder)


def run(campaign: Campaign) -> list[RunRecord]:
    """Run it in this process, in silence."""
    with Display(campaign.total_runs, Console(file=StringIO())) as display:
        return list(run_campaign(campaign, display, Forecast(campaign, []), lambda pilot, records: pilot).records)


def in_a_process(work: Callable[[], object]) -> multiprocessing.Process:
    """Start work in a process of its own that stops in order when asked, as the command line does."""

    def body() -> None:
        try:
            with orderly_stop():
                work()
        except Interrupted as stop:
            sys.exit(stop.exit_code)

    process = multiprocessing.get_context("fork").Process(target=body)
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)  # asked before it begins, it just ends
    process.start()
    signal.signal(signal.SIGINT, before)
    return process


def quick_worker(folder: Path) -> tuple[str, str]:
    """A worker that answers at once with what the fake backend measured, or does what ``$FAULT`` says in sh."""
    folder.mkdir(exist_ok=True)
    answer, script = folder / "answer.json", folder / "worker.sh"
    answer.write_text(Result(status="ok", measurement=measured(find_workload("smoke"))).model_dump_json() + "\n")
    script.write_text(f'read -r job\nif [ -n "$FAULT" ]; then eval "$FAULT"; fi\ncat {answer}\n')
    return "/bin/sh", str(script)


def measured(workload: Workload) -> Measurement:
    """What the fake backend measures of a workload, in no time."""
    clock = FakeClock()
    start_up = StartUp(cache="warm", import_seconds=0.1, open_seconds=0.1, first_step_seconds=0.0)
    session = FakeSession(Script(), clock.sleep)
    return measure(session, lambda step: Batch(step, *NO_TOKENS), workload.tokens_per_step, PLAN, start_up, clock=clock)


class Ledger:
    """Remembers every record ever seen in a folder, and says whether one was lost, torn, changed or counted twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[str, bytes] = {}
        self._superseded: set[str] = set()

    def check(self) -> list[RunRecord]:
        """The records that count now."""
        counting = {}
        for path in self._files("*.json"):
            record = read_record(path)
            counting[record.run_id] = record
            assert self._seen.setdefault(record.run_id, path.read_bytes()) == path.read_bytes(), "changed"
        for path in self._files("*.json.superseded-*"):
            run_id = json.loads(path.read_text())["run_id"]
            assert self._seen.setdefault(run_id, path.read_bytes()) == path.read_bytes(), "changed when set aside"
            self._superseded.add(run_id)
        assert self._seen.keys() == counting.keys() | self._superseded, "lost"
        assert not counting.keys() & self._superseded, "both counted and set aside"
        slots = Counter((r.place.role, r.place.round, r.case.recipe["name"]) for r in counting.values())
        assert all(count == 1 for count in slots.values()), "counted twice"
        return list(counting.values())

    def check_finished(self, campaign: Campaign) -> list[RunRecord]:
        """Every run of the campaign is there once, in whole rounds, and a reader finds just these."""
        counting = self.check()
        assert len(counting) == campaign.total_runs
        assert {r.run_id for r in load_all([self.folder])} == {r.run_id for r in counting}
        assert len({r.place.suite_id for r in counting}) == 1
        return counting

    def _files(self, pattern: str) -> list[Path]:
        return [path for path in self.folder.glob(pattern) if not path.name.startswith(".")]


def rebooted(campaign: Campaign) -> Campaign:
    """The same campaign after a reboot of its machine."""
    return replace(campaign, environment=campaign.environment.model_copy(update={"boot_id": "f" * 32}))


def stop(process: multiprocessing.Process, signal_number: int) -> int | None:
    """Send the signal if it still runs; the exit code."""
    with suppress(ProcessLookupError):
        os.kill(process.pid or 0, signal_number)
    process.join(30)
    return process.exitcode
