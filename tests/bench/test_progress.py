"""What is said while a suite runs: how a run ended, what the suite took and cost so far, how long it will take yet."""

import io
from pathlib import Path

import pytest
from builders import make_record
from rich.console import Console

from bench.progress import Display, minutes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the display sees; the test moves them."""
    now = [1000.0]
    monkeypatch.setattr("bench.progress.time.monotonic", lambda: now[0])
    return now


def said(clock: list[float], *, usd_per_hour: float | None, terminal: bool = False) -> list[str]:
    """Two runs of three minutes each, of which the first is expected to be the shorter."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=200, highlight=False)
    with Display(2, console, usd_per_hour=usd_per_hour) as display:
        display.begin(Path("records"), 0, 2)
        for number, left in enumerate((240.0, 0.0)):
            display.start("smoke on torch-cpu", "timed", number)
            clock[0] += 180
            display.progress("windows", 1, 3)
            display.finish(make_record(), left, guessed=usd_per_hour is None)
    return stream.getvalue().splitlines()


def test_time_and_money_so_far_and_the_time_that_is_left(clock: list[float]) -> None:
    _, first, last = said(clock, usd_per_hour=40.0)
    assert first.startswith("[1/2] smoke on torch-cpu, run 1: 1,000 tokens/s")
    assert first.endswith("; 3 min, 2.0000 USD so far, about 4 min left")
    assert last.endswith("; 6 min, 4.0000 USD so far")


def test_without_a_price_there_is_time_only(clock: list[float]) -> None:
    _, first, last = said(clock, usd_per_hour=None)
    assert first.endswith("; 3 min so far, about 4 min left (a guess)")
    assert last.endswith("; 6 min so far")


def test_the_bar_tells_the_same(clock: list[float]) -> None:
    text = "".join(said(clock, usd_per_hour=40.0, terminal=True))
    assert "4.0000 USD" in text.rpartition("2/2")[2]


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (720, "12 min"), (12600, "3.5 h")])
def test_a_duration_is_short(seconds: float, text: str) -> None:
    assert minutes(seconds) == text
