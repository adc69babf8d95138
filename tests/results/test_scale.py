"""Many records: what a comparison does for each of them stays the same, however many there are."""

import cProfile
import pstats
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import scale
from made_up_cases import TODAY

from results.render import markdown
from results.report import make_sections
from results.store import load_all

MOST_CALLS_A_RECORD = 5000
"""Of functions, from the file to the report: 3,000 here. It was 28,000 while every gate was evaluated six times."""
MOST_BYTES_A_RECORD = 100_000
"""Held while they are compared: 60,000 here. It was 190,000 while every step's loss was a model of its own."""


def _compare(folder: Path) -> str:
    sides = {side: load_all([folder / side]) for side in "AB"}
    return markdown(make_sections(sides, TODAY))


def _calls(work: Callable[[], object]) -> int:
    with cProfile.Profile() as profile:
        work()
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def test_a_comparison_takes_linear_time(tmp_path: Path) -> None:
    """Counted in calls, which no other work on the machine changes; a tenth may go to what grows faster."""
    few, many = tmp_path / "few", tmp_path / "many"
    scale.write_records(few, 250)
    scale.write_records(many, 1000)
    _compare(few)
    calls = [_calls(lambda folder=folder: _compare(folder)) for folder in (few, many)]
    assert calls[1] < 4 * calls[0] * 1.1, calls
    assert calls[1] < 1000 * MOST_CALLS_A_RECORD


def test_a_record_takes_little_memory(tmp_path: Path) -> None:
    scale.write_records(tmp_path, 100)
    load_all([tmp_path])
    tracemalloc.start()
    records = load_all([tmp_path])
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < len(records) * MOST_BYTES_A_RECORD


def test_every_made_up_record_is_ranked(tmp_path: Path) -> None:
    """So that a comparison of them does all that one of real records does."""
    scale.write_records(tmp_path, 250)
    sections = make_sections({"": load_all([tmp_path])}, TODAY)
    assert {section.workload for section in sections} == set(scale.WORKLOADS)
    for case in (case for section in sections for case in section.cases):
        assert len(case.summary.ranked) == len(case.summary.records), case.summary.problems
