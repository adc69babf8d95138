"""A suite through real worker processes, with the fake backend installed as a plug-in."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from backends.recipe import Recipe, resolve
from bench.campaign import run_campaign
from bench.compile_caches import CompileCaches
from bench.forecast import Forecast
from bench.plan import Case, MeasurePlan
from bench.process import run_worker
from bench.progress import Display
from bench.schedule import Campaign, Turn, schedule
from bench.worker import job_line
from results.record import RunRecord
from results.store import load_all
from workloads.catalog import find_workload

PLAN = MeasurePlan(windows=2, window_seconds=0.01, warmup_minimum_steps=20, time_limit_seconds=60.0)

PLUGIN = """
import os, signal, sys, time
from backends.contract import Availability
from backends.errors import OutOfMemory, Unavailable
from backends.fake import FakeBackend, FakeSession, Script

class Mine(FakeBackend):
    name = "mine"
    def open(self, workload, recipe, rank):
        {body}
        return FakeSession(Script(step_seconds=lambda step: 0.001))

class Absent(FakeBackend):
    name = "absent"
    def probe(self):
        return Availability(available=False, device_type="fake", reason="no such chip", fix="buy one")
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs backends `mine` (with the given line in `open`) and `absent` as a separate distribution."""

    def install(body: str = "pass") -> None:
        folder = tmp_path / "site"
        info = folder / "fairchip_mine-1.0.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (folder / "fairchip_mine.py").write_text(PLUGIN.format(body=body))
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fairchip-mine\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            "[fairchip.backends]\nmine = fairchip_mine:Mine\nabsent = fairchip_mine:Absent\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, "fairchip_mine", raising=False)

    return install


def make_case(backend: str = "mine") -> Case:
    workload = find_workload("smoke")
    return Case(workload=workload, backend=backend, device_type="fake", recipe=resolve(Recipe(), workload))


def run(tmp_path: Path, *backends: str, runs: int = 1, cold_starts: int = 0) -> list[RunRecord]:
    cases = [make_case(name) for name in backends]
    campaign = Campaign(
        suite="test", cases=cases, plan=PLAN, runs=runs, cold_starts=cold_starts, folder=tmp_path / "records"
    )
    with Display(campaign.total_runs) as display:
        return list(run_campaign(campaign, display, Forecast(campaign, []), lambda pilot, records: pilot).records)


def test_every_run_is_a_record_on_disk(plugin, tmp_path: Path) -> None:
    plugin()
    records = run(tmp_path, "mine", runs=3, cold_starts=1)
    assert [record.place.role for record in records] == ["cold-start", "timed", "timed", "timed"]
    assert {record.status for record in records} == {"ok"}
    assert {record.provenance for record in records} == {"simulated"}
    caches = [record.measurement.start_up.cache for record in records if record.measurement]
    assert caches == ["cold", "warm", "warm", "warm"]
    assert {r.run_id for r in load_all([tmp_path / "records"])} == {r.run_id for r in records}


def test_an_unavailable_backend_is_a_result_with_its_reason(plugin, tmp_path: Path) -> None:
    plugin()
    (record,) = run(tmp_path, "absent")
    assert (record.status, record.reason) == ("unavailable", "no such chip; buy one")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("raise OutOfMemory('device full', 'smaller')", "out-of-memory", "device full"),
        ("raise MemoryError", "out-of-memory", "host memory"),
        ("raise Unavailable('went away')", "unavailable", "went away"),
        ("raise ValueError('a bug')", "failed", "ValueError: a bug"),
        ("os._exit(7)", "failed", "exit 7"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "failed", "SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "failed", "SIGKILL"),
    ],
)
def test_whatever_ends_a_worker_is_a_record(plugin, tmp_path: Path, body: str, status: str, said: str) -> None:
    plugin(body)
    (record,) = run(tmp_path, "mine")
    assert record.status == status
    assert said in record.reason
    assert record.measurement is None


def test_a_measurement_that_contradicts_its_case_is_a_failed_run(plugin, tmp_path: Path) -> None:
    """A backend that counts other tokens than the workload has: a record that says so, and no crash."""
    plugin("import bench.worker; w = bench.worker.Workload; w.tokens_per_step = property(lambda self: 7)")
    (record,) = run(tmp_path, "mine")
    assert record.status == "failed"
    assert "not a possible run" in record.reason
    assert "tokens" in record.reason
    assert record.measurement is None


def test_what_a_library_prints_does_not_disturb_the_protocol(plugin, tmp_path: Path) -> None:
    plugin("print('noise'); os.write(1, b'native noise')")
    (record,) = run(tmp_path, "mine")
    assert record.status == "ok"


def test_a_hanging_worker_is_stopped_with_all_it_started(plugin) -> None:
    plugin("import subprocess; subprocess.Popen(['sleep', '60']); time.sleep(60)")
    before = _sleepers()
    start = time.monotonic()
    end = run_worker(job_line(make_case(), "cold", PLAN), {}, 5.0, lambda progress: None)
    assert end.status == "timeout"
    assert time.monotonic() - start < 20
    assert _sleepers() <= before


@pytest.mark.parametrize("output", ["garbage", '{"kind": "result"}', "[[[[", '{"kind": "progress"'])
def test_garbage_from_a_worker_is_a_failure_not_a_crash(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impostor = tmp_path / "python"
    impostor.write_text(f"#!/bin/sh\necho '{output}'\nsleep 30\n")
    impostor.chmod(0o755)
    monkeypatch.setattr("bench.process.WORKER", (str(impostor),))
    end = run_worker(job_line(make_case(), "cold", PLAN), {}, 20.0, lambda progress: None)
    assert end.status == "failed"
    assert end.reason == "the worker's answer was not understood"


def test_a_worker_does_not_outlive_its_parent(plugin) -> None:
    plugin("time.sleep(60)")
    parent = textwrap.dedent(
        """
        import sys
        from bench.process import run_worker
        run_worker(sys.argv[1], {}, 60.0, lambda progress: None)
        """
    )
    line = job_line(make_case(), "cold", PLAN)
    process = subprocess.Popen([sys.executable, "-c", parent, line])
    deadline = time.monotonic() + 30
    while not (children := psutil.Process(process.pid).children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def test_the_recipes_variables_are_there_before_the_interpreter_starts(plugin, tmp_path: Path) -> None:
    plugin("sys.exit(0 if os.environ.get('FAIRCHIP_TEST') == 'yes' else 9)")
    end = run_worker(job_line(make_case(), "cold", PLAN), {"FAIRCHIP_TEST": "yes"}, 30.0, lambda progress: None)
    assert "exit 0" in end.reason


def test_rounds_are_whole_and_in_an_order_of_their_own(tmp_path: Path) -> None:
    cases = [make_case(name) for name in "abc"]
    campaign = Campaign(suite="test", cases=cases, plan=PLAN, runs=40, cold_starts=1, folder=tmp_path)
    turns = schedule(campaign, seed="1")
    rounds: dict[tuple[str, int], list[Turn]] = {}
    for turn in turns:
        rounds.setdefault((turn.role, turn.round), []).append(turn)
    assert len(rounds) == 41
    assert all(sorted(t.case.backend for t in turns) == ["a", "b", "c"] for turns in rounds.values())
    firsts = [turns[0].case.backend for turns in rounds.values()]
    assert all(firsts.count(name) >= 5 for name in "abc")
    assert schedule(campaign, seed="1") == turns
    assert schedule(campaign, seed="2") != turns


def test_every_second_round_reverses_the_one_before(tmp_path: Path) -> None:
    """What two cases differ in for coming first cancels; results/simulated_runs.py simulates this order."""
    cases = [make_case(name) for name in "abc"]
    campaign = Campaign(suite="test", cases=cases, plan=PLAN, runs=5, cold_starts=1, folder=tmp_path)
    rounds: list[list[str]] = [[] for _ in range(5)]
    for turn in schedule(campaign, seed="1"):
        if turn.role == "timed":
            rounds[turn.round].append(turn.case.backend)
    assert rounds[1] == rounds[0][::-1]
    assert rounds[3] == rounds[2][::-1]


def test_every_cold_start_has_a_record_and_a_cold_cache(plugin, tmp_path: Path) -> None:
    plugin()
    records = run(tmp_path, "mine", runs=1, cold_starts=3)
    assert [record.measurement.start_up.cache for record in records if record.measurement] == ["cold"] * 3 + ["warm"]
    left = sorted(path.name for path in (tmp_path / "records").iterdir())
    assert len(left) == 5, "the lock, records and nothing else: caches are gone"
    assert left[0] == ".lock"


def test_caches_have_plain_names_and_none_is_shared(tmp_path: Path) -> None:
    """A compiler that is called through a shell takes a path with a space for two."""
    names = ["as-is", "as-is A", "as-is_A", "a/b", "a b", "größer; rm -rf $HOME"]
    caches = CompileCaches(tmp_path)
    folders = [caches.of(replace(make_case(), recipe=Recipe(name=name)), 0)[0] for name in names]
    assert all(folder.parent == tmp_path and re.fullmatch(r"[A-Za-z0-9._-]+", folder.name) for folder in folders)
    assert len(set(folders)) == len(names)


def test_a_start_that_failed_leaves_the_next_one_cold(plugin, tmp_path: Path) -> None:
    flag = tmp_path / "failed-once"
    plugin(f"import pathlib; p = pathlib.Path({str(flag)!r}); p.exists() or (p.touch(), os._exit(1))")
    first, second = run(tmp_path, "mine", runs=1, cold_starts=1)
    assert first.status == "failed"
    assert second.measurement is not None
    assert second.measurement.start_up.cache == "cold"


def test_a_failed_run_names_nobody(plugin, tmp_path: Path) -> None:
    plugin(f"raise ValueError('no {Path.home()}/model, MY_TOKEN=tok-9, /home/alice/x')")
    (record,) = run(tmp_path, "mine")
    assert record.status == "failed"
    text = record.model_dump_json()
    for private in ("tok-9", "alice", str(tmp_path), f"{Path.home()}/model"):
        assert private not in text


def test_a_record_names_nobody(plugin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin()
    secrets = {
        "MY_TOKEN": "tok-1",
        "XLA_FLAGS": f"--dump={Path.home()}/x",
        "JAX_SECRET_KEY": "k-2",
        "HOSTNAME": "box-3",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    (record,) = run(tmp_path, "mine")
    text = record.model_dump_json()
    for planted in ("tok-1", "k-2", "box-3", str(tmp_path), f"{Path.home()}/x"):
        assert planted not in text
    assert json.loads(text)["environment"]["variables"]["XLA_FLAGS"] == "<masked>"


def _sleepers() -> int:
    return sum(process.info["cmdline"] == ["sleep", "60"] for process in psutil.process_iter(["cmdline"]))
