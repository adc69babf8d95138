"""Whatever stops the parent, or refuses to store a record: nothing is lost, torn or counted twice, and it goes on."""

import errno
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from power_cut import power_cut_after
from reliability.report import Outcomes, repeats
from reliability.worker_faults import SOURCE
from reliability.workshop import (
    Ledger,
    in_a_process,
    install_plugin,
    make_campaign,
    make_case,
    quick_worker,
    rebooted,
    run,
    stop,
)

from backends import registry
from bench.errors import UsageError
from bench.schedule import Campaign
from results.compare import group_cases
from results.errors import RecordError

CASES = 3
RUNS = 3
FLUSHES = 2 + 2 * CASES * RUNS
"""Of a file and its folder: once to see that the folder can be written, then for every record."""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(tmp_path / "site", SOURCE, monkeypatch)


@pytest.fixture
def quick(plugin: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that answer in a hundredth of a second."""
    points = registry.backend_entry_points()
    monkeypatch.setattr("backends.registry.backend_entry_points", lambda: points)
    monkeypatch.setattr("bench.process.WORKER", quick_worker(tmp_path / "quick"))


def campaign_in(folder: Path) -> Campaign:
    return make_campaign(folder, [make_case(name) for name in "abc"[:CASES]], runs=RUNS)


ASKED = {
    signal.SIGINT: ("is interrupted (SIGINT)", 130),
    signal.SIGTERM: ("is asked to end (SIGTERM), as when a spot instance is reclaimed", 143),
    signal.SIGHUP: ("loses its terminal (SIGHUP)", 129),
    signal.SIGKILL: ("is killed (SIGKILL)", -9),
}


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_stopped_at_any_moment_it_goes_on(
    quick: None, tmp_path: Path, asked: signal.Signals, outcomes: Outcomes
) -> None:
    """Stopped again and again at random moments until it is through; what was finished stays, byte for byte."""
    chance, times = random.Random(asked), 0
    suites = 0
    while times < repeats(8):
        campaign = campaign_in(tmp_path / f"records-{suites}")
        ledger, suites, patience_seconds = Ledger(campaign.folder), suites + 1, 0.12
        while True:
            finished_rounds = _whole_rounds(ledger)
            process = in_a_process(partial(run, campaign))
            time.sleep(chance.uniform(0.0, patience_seconds))
            code = stop(process, asked)
            assert finished_rounds <= _whole_rounds(ledger), "a finished round was run again"
            if code == 0:
                break
            assert code in (ASKED[asked][1], -asked), "in order, or before it could say how"
            times += code == ASKED[asked][1]
            patience_seconds *= 1.05  # however slow the machine is, it comes through
        ledger.check_finished(campaign)
        assert not [path for path in campaign.folder.iterdir() if path.name.startswith(".draft-")]
    outcomes.note("parent", ASKED[asked][0], "the same command goes on from the last whole round", times)


def _whole_rounds(ledger: Ledger) -> set[str]:
    """Runs of rounds that are complete."""
    counting = ledger.check() if ledger.folder.exists() else []
    rounds: dict[int, list[str]] = {}
    for record in counting:
        rounds.setdefault(record.place.round, []).append(record.run_id)
    return {run_id for found in rounds.values() if len(found) == CASES for run_id in found}


def test_killed_with_a_busy_worker_it_leaves_nobody_behind(plugin: None, tmp_path: Path, outcomes: Outcomes) -> None:
    """The worker holds the interpreter in native code and has started a process of its own: both must go."""
    busy = "subprocess.Popen(['sleep', '601']); ctypes.PyDLL(None).sleep(602)"
    for attempt in range(times := min(repeats(2), 50)):
        campaign = make_campaign(tmp_path / f"records-{attempt}", [make_case("busy", FAULT_IN_STEP=busy)], runs=1)
        process = in_a_process(partial(run, campaign))
        family = _wait_for(partial(_descendants, process.pid or 0, "601"))
        assert stop(process, signal.SIGKILL) == -9
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive
    outcomes.note(
        "parent", "is killed (SIGKILL) while a worker hangs and has started others", "no process is left", times
    )


def _descendants(pid: int, marker: str) -> list[psutil.Process]:
    """All of them, once one with this argument is among them."""
    family = psutil.Process(pid).children(recursive=True)
    return family if any(marker in " ".join(one.cmdline()) for one in family) else []


def _wait_for(found: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if processes := found():
                return processes
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.05)
    raise AssertionError("the worker never started")


STORAGE = {
    "a full disk": (errno.ENOSPC, "No space left on device"),
    "a disk that turned read-only": (errno.EROFS, "Read-only file system"),
    "a quota": (errno.EDQUOT, "Disk quota exceeded"),
    "an input/output error": (errno.EIO, "Input/output error"),
}


@pytest.mark.parametrize("what", STORAGE)
def test_a_record_that_cannot_be_stored(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, outcomes: Outcomes
) -> None:
    """The suite stops in one line; once there is room it goes on, and nothing half-written is ever a record."""
    number, said = STORAGE[what]
    chance = random.Random(what)
    for attempt in range(times := repeats(3)):
        campaign = campaign_in(tmp_path / f"records-{attempt}")
        ledger = Ledger(campaign.folder)
        with monkeypatch.context() as patch:
            patch.setattr("results.store.os.fsync", _failing_from(chance.randrange(FLUSHES - 1), number))
            with pytest.raises(RecordError, match=said):
                run(campaign)
        if campaign.folder.exists():
            ledger.check()
        run(campaign)
        ledger.check_finished(campaign)
    outcomes.note("parent", f"meets {what}", "one line, exit 2; with room, the same command goes on", times)


def _failing_from(call: int, number: int) -> Callable[[int], None]:
    calls = iter(range(10**6))

    def fsync(descriptor: int) -> None:
        if next(calls) >= call:
            raise OSError(number, os.strerror(number))

    return fsync


def test_a_slow_file_system_without_hard_links_and_locks(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: Outcomes
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr("results.store.os.link", refuse)
    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.setattr("results.store.os.fsync", lambda descriptor: time.sleep(0.02))
    for attempt in range(times := repeats(3)):
        campaign = campaign_in(tmp_path / f"records-{attempt}")
        run(campaign)
        records = Ledger(campaign.folder).check_finished(campaign)
        assert {record.status for record in records} == {"ok"}
    outcomes.note("parent", "has its records on a slow network disk without links and locks", "all records", times)


def test_a_network_disk_that_repeats_our_request(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr("results.store.os.link", twice)
    campaign = campaign_in(tmp_path / "records")
    run(campaign)
    Ledger(campaign.folder).check_finished(campaign)


def test_several_suites_at_once_in_one_folder(quick: None, tmp_path: Path, outcomes: Outcomes) -> None:
    """One has the folder, the others are refused, and every run is there once."""
    for attempt in range(times := repeats(3)):
        campaign = campaign_in(tmp_path / f"records-{attempt}")
        rivals = [in_a_process(partial(_exit_2_if_refused, campaign)) for _ in range(3)]
        for rival in rivals:
            rival.join(60)
        assert {rival.exitcode for rival in rivals} <= {0, 2}
        assert any(rival.exitcode == 0 for rival in rivals)
        Ledger(campaign.folder).check_finished(campaign)
    outcomes.note("parent", "is started three times at once in one folder", "one measures, the others refuse", times)


def _exit_2_if_refused(campaign: Campaign) -> None:
    try:
        run(campaign)
    except RecordError:
        os._exit(2)


def _interrupted(campaign: Campaign, after: int) -> None:
    """Leave the campaign after so many runs, as a power cut does: with a draft and the lock file."""
    with power_cut_after(after):
        run(campaign)
    (campaign.folder / ".draft-0123").write_text('{"torn')


def test_after_a_reboot_rounds_stay_whole_and_only_pair_within_a_boot(
    quick: None, tmp_path: Path, outcomes: Outcomes
) -> None:
    for attempt in range(times := repeats(3)):
        before = campaign_in(tmp_path / f"records-{attempt}")
        ledger = Ledger(before.folder)
        _interrupted(before, after=1 + attempt % (CASES * RUNS - 1))
        ledger.check()
        after = rebooted(before)
        run(after)
        records = ledger.check_finished(after)
        boots = {(r.place.round, r.environment.boot_id) for r in records}
        assert len(boots) == RUNS, "no round spans a boot"
        cases = group_cases({"": records})
        assert len(cases) == CASES, "a reboot does not make another case"
    outcomes.note("parent", "continues after its machine was rebooted", "whole rounds, each of one boot", times)


def test_another_machine_does_not_continue(quick: None, tmp_path: Path, outcomes: Outcomes) -> None:
    campaign = campaign_in(tmp_path / "records")
    _interrupted(campaign, after=4)
    ledger = Ledger(campaign.folder)
    before = ledger.check()
    elsewhere = campaign.environment.model_copy(update={"host_id": "e" * 32})
    with pytest.raises(UsageError, match="another machine"):
        run(replace(campaign, environment=elsewhere))
    assert ledger.check() == before
    outcomes.note("parent", "continues on another machine", "refused: records hold another machine")


def test_a_clock_that_jumps(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcomes: Outcomes) -> None:
    """Whatever the time of day says, rounds are continued in their order and samples line up with windows."""
    chance, true_time = random.Random(1), time.time
    for attempt in range(times := repeats(3)):
        campaign = campaign_in(tmp_path / f"records-{attempt}")
        monkeypatch.setattr("bench.wall_clock.time.time", lambda: true_time() + chance.uniform(-1e9, 1e9))
        _interrupted(campaign, after=1 + attempt % (CASES * RUNS - 1))
        run(campaign)
        records = Ledger(campaign.folder).check_finished(campaign)
        assert {record.status for record in records} == {"ok"}
    outcomes.note("parent", "runs while the machine's clock jumps by years", "all records, in their rounds", times)
