"""What fairchip is started in: a terminal that goes away, closed streams, no home, odd variables, foreign caches."""

import os
import pty
import signal
import subprocess
import sys
import tempfile
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from builders import make_record
from filelock import FileLock
from reliability.worker_faults import SOURCE
from reliability.workshop import in_a_process, install_plugin, make_campaign, make_case, quick_worker, run

from bench import compile_caches, identity
from bench.continuation import newest_of_same_kind
from bench.measuring import Wish, measure_and_compare
from results.costs import PriceChoice
from results.errors import RecordError
from results.store import owned, save

FAIRCHIP = [sys.executable, "-P", "-m", "bench"]
MEASURE = [
    *FAIRCHIP, "run", "--workload", "smoke", "--backend", "mine", "--cold-starts", "0", "--windows", "1", "--out", "x",
]  # fmt: skip
NOBODY = 65534


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(tmp_path / "site", SOURCE, monkeypatch)
    monkeypatch.chdir(tmp_path)


def test_a_terminal_that_goes_away_stops_the_suite_in_order(plugin: None, tmp_path: Path) -> None:
    """The window is closed: the kernel hangs up, nothing can be said any more, and the exit code says why."""
    ours, theirs = pty.openpty()
    command = subprocess.Popen(
        [sys.executable, "-c", _ON_ITS_OWN_TERMINAL, *MEASURE],
        cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"FAULT_IN_STEP": "time.sleep(60)", "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while b"records go to" not in said:
        said += os.read(ours, 1000)
    os.close(ours)
    assert command.wait(60) == 128 + signal.SIGHUP


_ON_ITS_OWN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def quick(plugin: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that answer at once, in this process and in command lines."""
    worker = quick_worker(tmp_path / "quick")
    monkeypatch.setattr("bench.process.WORKER", worker)
    monkeypatch.setenv("QUICK_WORKER", worker[1])


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_nobody_reading(quick: None, tmp_path: Path, closed: str) -> None:
    """A cron job or a daemon may start us so; a descriptor that is free must not become a record."""
    line = f'exec "$@" {closed}'
    done = subprocess.run(["/bin/sh", "-c", line, "sh", *MEASURE, "--runs", "1"], timeout=60, check=False)
    assert done.returncode == 0
    assert len(list((tmp_path / "x").glob("timed-*.json"))) == 1


@pytest.mark.parametrize("text", [b"\xff", b"--xla_dump_to=\xe9\xe8", b"\xf0\x9f"])
def test_variables_that_are_no_text(quick: None, tmp_path: Path, text: bytes) -> None:
    done = subprocess.run(
        [*MEASURE, "--runs", "1"],
        env=os.environb | {b"XLA_FLAGS": text},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "x").glob("timed-*.json")
    assert "XLA_FLAGS" in record.read_text(encoding="utf-8")


def test_without_a_home_every_call_is_another_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for variable in ("FAIRCHIP_STATE", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    assert identity.host_id() != identity.host_id()


def test_a_folder_that_may_not_be_written() -> None:
    """Asked of the system itself, as a user who has no right there: root may write anywhere."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        (folder := Path(parent) / "theirs").mkdir(mode=0o555)
        trial = in_a_process(partial(_try_to_own, folder))
        trial.join(60)
        assert trial.exitcode == 0
        assert not list(folder.iterdir())


def _try_to_own(folder: Path) -> None:
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    with pytest.raises(RecordError, match="Permission denied") as caught, owned(folder):
        pass
    assert str(folder) in caught.value.message


def test_a_disk_with_less_room_than_a_record_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        assert len(text) >= 2**20, "more than the largest record"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("results.store.write_atomically", full)
    with pytest.raises(RecordError, match="No space left"), owned(tmp_path / "records"):
        pytest.fail("it went on")
    assert not (tmp_path / "records").exists()


@pytest.fixture
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_caches_in_use_stay_and_those_of_the_dead_go(temporary_folder: Path) -> None:
    """Another container shares the temporary folder: its process numbers say nothing here, its lock does."""
    dead, used, begun = (temporary_folder / f"{compile_caches.FOLDER_PREFIX}{name}" for name in ("a", "b", "c"))
    for folder in (dead, used, begun):
        folder.mkdir()
    (dead / ".lock").touch()
    with FileLock(used / ".lock"), compile_caches.cache_folder() as mine:
        assert not dead.exists()
        assert used.exists()
        assert begun.exists(), "it has no lock yet: it may be in the making"
        assert compile_caches.left_over_caches() == [], "mine is in use too"
        assert mine.is_dir()
    assert not mine.exists()


def test_why_the_last_folder_is_not_continued_is_said(quick: None, tmp_path: Path) -> None:
    cases = [make_case("a")]
    run(make_campaign(tmp_path / "0", cases, runs=2))
    asked = make_campaign(tmp_path, cases, runs=3)
    assert newest_of_same_kind(asked, [tmp_path / "0"]) == (
        None,
        f"{tmp_path / '0'} is not continued: it is of another number of runs",
    )
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "timed-0000-00-x.json").write_text("{")
    _, why = newest_of_same_kind(asked, [tmp_path / "0", tmp_path / "1"])
    assert why.startswith(f"{tmp_path / '1'} is not continued: ")
    assert newest_of_same_kind(asked, []) == (None, "")


def test_a_stop_after_again_says_what_goes_on(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The very same command would begin anew."""
    campaign = make_campaign(tmp_path / "unused", [make_case("a")], runs=2)
    monkeypatch.setattr("bench.progress.Display.finish", lambda *_, **how: os.kill(os.getpid(), signal.SIGTERM))
    today = PriceChoice(as_of=date(2026, 11, 22))
    save(make_record(), tmp_path / "mine")
    wish = Wish(choice=today, margin=0.02, out=tmp_path / "mine", again=True)
    assert measure_and_compare(campaign, wish) == 143
    said = capsys.readouterr().err
    assert f"finished runs are in {tmp_path / 'mine-2'}" in said
    assert f"the same command, without --again and with --out {tmp_path / 'mine-2'}, goes on from there" in said


PLUGIN = """
from backends.fake import FakeBackend
class Mine(FakeBackend):
    name = "mine"
    {body}
class Absent(FakeBackend):
    name = "absent"
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("def probe(self): return None", "None is no Availability"),
        ("def probe(self): raise SystemError('inside')", "probe failed: SystemError: inside"),
        ("def recipes(self, workload): return {}", "has no as-is recipe: KeyError: 'as-is'"),
        ("def recipes(self, workload): raise ValueError('none yet')", "has no as-is recipe: ValueError: none yet"),
    ],
)
def test_a_plugin_that_breaks_its_promise_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str
) -> None:
    install_plugin(tmp_path / "site", PLUGIN.format(body=body), monkeypatch)
    done = subprocess.run(
        [*FAIRCHIP, "run", "--workload", "smoke", "--backend", "mine", "--runs", "1", "--out", "x"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode in (2, 3), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
