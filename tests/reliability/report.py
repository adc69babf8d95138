"""Collects what the reliability tests saw, for the tables of docs/reliability.md."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def repeats(default: int) -> int:
    """How often a fault is injected: ``FAIRCHIP_FAULTS``, or few enough for every test run."""
    return int(os.environ.get("FAIRCHIP_FAULTS", default))


class Outcomes:
    """Outcome and number of injections by kind ("input", "worker", "parent") and fault."""

    def __init__(self) -> None:
        self.seen: dict[str, dict[str, str]] = defaultdict(dict)
        self.counts: dict[tuple[str, str], int] = defaultdict(int)

    def note(self, kind: str, fault: str, outcome: str, times: int = 1) -> None:
        """A fault of a kind ended so. The page must have a row of it."""
        assert self.seen[kind].setdefault(fault, outcome) == outcome, "a fault has one outcome"
        self.count(kind, fault, times)
        if "FAIRCHIP_RELIABILITY_PAGE" not in os.environ:
            row = f"| {_cell(fault)} |" + ("" if kind == "input" else f" {_cell(outcome)} |")
            assert row in PAGE.read_text(encoding="utf-8"), f"make reliability writes the page again with {row}"

    def count(self, kind: str, fault: str, times: int) -> None:
        """It ended as noted elsewhere."""
        self.counts[kind, fault] += times

    def tables(self) -> dict[str, str]:
        """Markdown by kind."""
        shown = {kind: self._rows(kind) for kind in self.seen}
        headings = {
            "input": ("what is given", "what fairchip says (and its hint)"),
            "worker": ("a worker that ...", "outcome", "times"),
            "parent": ("a suite that ...", "outcome", "times"),
        }
        return {kind: table(headings[kind], rows) for kind, rows in shown.items()}

    def _rows(self, kind: str) -> list[tuple[str, ...]]:
        rows = [(fault, outcome, str(self.counts[kind, fault])) for fault, outcome in self.seen[kind].items()]
        return [row[:2] for row in rows] if kind == "input" else rows


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def write_page(tables: Mapping[str, str]) -> None:
    """Put each table between its two marks; what is written around them stays."""
    text = PAGE.read_text(encoding="utf-8")
    for kind, content in tables.items():
        marked = re.compile(rf"(<!-- {kind} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = marked.subn(lambda mark, content=content: f"{mark[1]}{content}\n{mark[2]}", text)
        assert found == 1, f"the page has no place for {kind}"
    PAGE.write_text(text, encoding="utf-8")
