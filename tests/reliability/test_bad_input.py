"""Whatever is wrong with what a person gives: exit 2, one line and a hint, nothing left behind."""

import sys
from pathlib import Path

import pytest
from reliability.bad_input import MISTAKES, Mistake
from reliability.bad_prices import PRICE_MISTAKES
from reliability.report import Outcomes

from bench.cli import app
from bench.entry import run


@pytest.mark.parametrize("mistake", [*MISTAKES, *PRICE_MISTAKES], ids=lambda mistake: mistake.name)
def test_one_line_and_a_hint(
    mistake: Mistake,
    tmp_path: Path,
    outcomes: Outcomes,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    mistake.prepare(tmp_path)
    before = _everything(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["fairchip", *mistake.arguments])
    code, said = run(app), capfd.readouterr()
    assert code == 2, said.err
    line, hint = (line for line in said.err.splitlines() if not line.startswith(("suite ", "plan: ", "  about ")))
    assert line.startswith("fairchip: ")
    assert hint.startswith("  hint: ")
    assert all(part in line + hint for part in mistake.said), (line, hint)
    assert all(char.isprintable() for char in line + hint)
    assert not said.out
    assert _everything(tmp_path) == before, "nothing is half-written"
    outcomes.note("input", mistake.name, f"{line.removeprefix('fairchip: ')} ({hint.removeprefix('  hint: ')})")


def _everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
