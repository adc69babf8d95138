"""`--html` and `--md` of report and compare: what is written, and what is refused before anything is."""

import sys
from pathlib import Path

import pytest
from builders import make_record

from bench.cli import app
from bench.entry import run
from results.store import save


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        for backend, speed in (("torch-cpu", 1000.0), ("jax-cpu", 900.0)):
            save(make_record(backend=backend, tokens_per_second=speed + number, round_=number), Path("A"))
    for number in range(3):
        save(make_record(tokens_per_second=1100.0 + number, round_=number, suite_id="9" * 32), Path("B"))
    return tmp_path


def fairchip(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["fairchip", *arguments])
    return run(app)


@pytest.mark.parametrize("command", [("report", "A"), ("compare", "A", "B")], ids=" ".join)
def test_both_files_are_written_beside_the_text(
    records: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert fairchip(monkeypatch, *command, "--html", "a.html", "--md", "a.md") == 0
    said = capsys.readouterr()
    assert "tokens/s" in said.out
    assert said.err.splitlines() == ["wrote a.html", "wrote a.md"]
    assert Path("a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert Path("a.md").read_text(encoding="utf-8").startswith("### smoke")
    assert not [path for path in records.iterdir() if path.name.startswith(".a")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--html", "A/timed-0000-00-smoke-jax-cpu.json"), "does not end in .html"),
        (("--md", "report.html"), "does not end in .md"),
        (("--html", "nowhere/a.html"), "there is no folder nowhere"),
    ],
)
def test_a_mistyped_path_is_refused(
    records: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    before = {path: path.read_bytes() for path in records.rglob("*.json")}
    assert fairchip(monkeypatch, "report", "A", *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert said in lines[0]
    assert lines[1].startswith("  hint: ")
    assert {path: path.read_bytes() for path in records.rglob("*.json")} == before


@pytest.mark.parametrize("library", ["vl_convert", "jinja2"])
def test_a_missing_library_is_one_line_and_a_hint(
    records: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    Path("a.html").write_text("old")
    assert fairchip(monkeypatch, "report", "A", "--html", "a.html") == 2
    assert capsys.readouterr().err.splitlines() == [
        f"fairchip: this command needs {library}",
        "  hint: make setup, or pip install -e '.[report]'",
    ]
    assert Path("a.html").read_text() == "old"


def test_without_a_page_its_libraries_are_not_asked_for(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("vl_convert", "jinja2", "markupsafe"):
        monkeypatch.setitem(sys.modules, library, None)
    assert fairchip(monkeypatch, "report", "A") == 0


def test_a_folder_in_the_way_is_one_line(
    records: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("a.html").mkdir()
    assert fairchip(monkeypatch, "report", "A", "--html", "a.html") == 2
    assert "a.html" in capsys.readouterr().err
    assert not [path for path in records.iterdir() if path.name.startswith(".a")]
