"""The same command goes on where it stopped, says when there is nothing left, and measures anew when asked."""

from pathlib import Path

import pytest
from power_cut import PowerCut, power_cut_after
from reliability.worker_faults import SOURCE
from reliability.workshop import install_plugin, quick_worker

from bench.cli import app
from results.store import load_all

RUN = (
    "run",
    "--workload",
    "smoke",
    "--backend",
    "mine",
    "absent",
    "--runs",
    "3",
    "--cold-starts",
    "1",
    "--windows",
    "2",
)
ALL = 2 * (3 + 1)


@pytest.fixture(autouse=True)
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(tmp_path / "site", SOURCE, monkeypatch)
    monkeypatch.setattr("bench.process.WORKER", quick_worker(tmp_path / "quick"))
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> int:
    return app([*RUN, *arguments], standalone_mode=False)


def cut_after(runs: int, *arguments: str) -> None:
    with power_cut_after(runs):
        call(*arguments)


def folders() -> list[Path]:
    return sorted(path for path in Path("results/runs").iterdir())


@pytest.mark.parametrize("out", [(), ("--out", "results/runs/mine")], ids=["its own folder", "--out"])
@pytest.mark.parametrize("runs", range(1, ALL))
def test_it_goes_on_after_any_run(runs: int, out: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    cut_after(runs, *out)
    before = {record.run_id for record in load_all(folders())}
    assert call(*out) == 0
    (folder,) = folders()
    after = {record.run_id for record in load_all([folder])}
    kept = runs - runs % 2
    assert len(after) == ALL
    assert len(after & before) == kept, "whole rounds stay, the cut one is run again"
    assert len(list(folder.glob("*.superseded-*"))) == runs - kept
    said = capfd.readouterr()
    assert f"{ALL} runs{f', {kept} are there already' if kept else ''}; records go to {folder}" in said.err
    assert f"[{ALL}/{ALL}]" in said.err


def test_a_finished_suite_says_so_and_measures_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert call() == 0
    before = {path: path.read_bytes() for path in folders()[0].glob("*.json")}
    capfd.readouterr()
    assert call() == 0
    said = capfd.readouterr()
    assert "finished already, nothing was measured" in said.err
    assert "--again" in said.err
    assert "no rank" in said.out, "the comparison is printed again"
    assert {path: path.read_bytes() for path in folders()[0].glob("*.json")} == before


def test_again_is_another_suite_in_another_folder() -> None:
    assert call("--out", "results/runs/a") == 0
    assert call("--out", "results/runs/a", "--again") == 0
    assert [folder.name for folder in folders()] == ["a", "a-2"]
    assert call("--again") == 0
    assert len(folders()) == 3
    assert len({record.place.suite_id for record in load_all(folders())}) == 3


def test_again_does_not_go_on() -> None:
    cut_after(3)
    assert call("--again") == 0
    assert len(folders()) == 2


@pytest.mark.parametrize(
    "change", [("--runs", "4"), ("--windows", "3"), ("--time-limit", "7"), ("--policy", "bf16-mixed")], ids=" ".join
)
def test_another_command_begins_its_own(change: tuple[str, ...]) -> None:
    cut_after(3)
    assert call(*change) == 0
    assert len(folders()) == 2


def test_other_circumstances_begin_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cut_after(3)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert call() == 0
    assert len(folders()) == 2


def test_a_finished_failure_fails_again(capfd: pytest.CaptureFixture[str]) -> None:
    """The exit code of a finished suite is the one that it had: a script that calls twice is not misled."""
    assert app(["run", "--workload", "smoke", "--backend", "absent", "--runs", "1"], standalone_mode=False) == 3
    assert app(["run", "--workload", "smoke", "--backend", "absent", "--runs", "1"], standalone_mode=False) == 3
    assert "finished already" in capfd.readouterr().err


def test_a_power_cut_before_the_first_record_leaves_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> None:
        raise PowerCut

    monkeypatch.setattr("bench.progress.Display.start", start)
    with pytest.raises(PowerCut):
        call()
    assert not folders()
