"""What there is: backends with their availability, workloads, suites. Imports no framework.

Plain columns of text, at most 80 wide: to a screen reader or a pipe they are what they are on a screen.
"""

import textwrap
from collections.abc import Iterator, Sequence

from backends.registry import availabilities
from bench.suite import find_suite, suite_names
from workloads.catalog import catalog_names, find_workload
from workloads.shapes import parameter_count

COLUMNS = 80
GAP = "  "

Row = Sequence[str]


def print_listing() -> None:
    """Three small tables on standard output."""
    tables = (_backends(), _workloads(), _suites())
    print("\n\n".join("\n".join(_lines(list(table))) for table in tables))


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    """Columns as wide as they must be; the last one is wrapped, and no word or number is cut."""
    *columns, last = zip(*rows, strict=True)
    for cells, text in zip(zip(*map(_aligned, columns), strict=True), last, strict=True):
        line = GAP.join(cells) + GAP
        yield textwrap.fill(
            line + text, COLUMNS, subsequent_indent=" " * len(line), break_long_words=False, break_on_hyphens=False
        )


def _aligned(column: Row) -> Row:
    """Equally wide cells: numbers and their heading to the right."""
    width = max(map(len, column))
    numbers = all(cell.replace(",", "").isdecimal() for cell in column[1:])
    return [cell.rjust(width) if numbers else cell.ljust(width) for cell in column]


def _backends() -> Iterator[Row]:
    yield "backend", "here", "devices", "why not, or note"
    for name, found in availabilities().items():
        yield name, "yes" if found.available else "no", str(found.device_count), found.reason or found.note


def _workloads() -> Iterator[Row]:
    yield "workload", "parameters", "sequence", "batch", "precision", "digest"
    for name in catalog_names():
        workload = find_workload(name)
        yield (
            name,
            f"{parameter_count(workload.model):,}",
            str(workload.sequence_length),
            str(workload.global_batch),
            workload.precision,
            workload.digest[:12],
        )


def _suites() -> Iterator[Row]:
    yield "suite", "runs", "question"
    for name in suite_names():
        suite = find_suite(name)
        yield name, str(suite.runs), suite.question
