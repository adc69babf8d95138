"""What there is: backends with their availability, workloads, suites. Imports no framework."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from backends.registry import availability, backend_entry_points
from bench.suite import find_suite, suite_names
from workloads.catalog import catalog_names, find_workload
from workloads.parameters import parameter_count


def print_listing(console: Console | None = None) -> None:
    """Three small tables on standard output."""
    console = console or Console()
    for table in (_backends(), _workloads(), _suites()):
        console.print(table)
        console.print()


def _table(*headings: str) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    for heading in headings:
        table.add_column(heading)
    return table


def _backends() -> Table:
    table = _table("backend", "here", "devices", "why not")
    for name in backend_entry_points():
        found = availability(name)
        table.add_row(name, "yes" if found.available else "no", str(found.device_count), escape(found.reason))
    return table


def _workloads() -> Table:
    table = _table("workload", "parameters", "sequence", "batch", "precision", "digest")
    for name in catalog_names():
        workload = find_workload(name)
        table.add_row(
            name,
            f"{parameter_count(workload.model):,}",
            str(workload.sequence_length),
            str(workload.global_batch),
            workload.precision,
            workload.digest[:12],
        )
    return table


def _suites() -> Table:
    table = _table("suite", "runs", "question")
    for name in suite_names():
        suite = find_suite(name)
        table.add_row(name, str(suite.runs), suite.question)
    return table
