"""A case against itself: two cases that differ in their names alone, and what their runs say of this machine."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from rich.console import Console
from rich.table import Table

from backends.registry import availabilities
from bench.errors import UsageError
from bench.plan import Case
from bench.suite import Suite, make_case, suite_backends
from bench.workload_choice import choose_workload
from results.compare import group_cases, throughput_ratio
from results.noise import HEADINGS, noise_rows, self_comparison_line
from results.plain_text import plain
from results.record import RunRecord


def twice(
    suite: Suite,
    workload: str | None,
    backend: str | None,
    policy: Literal["fp32", "bf16-mixed"] | None,
    recipe: str | None,
) -> list[Case]:
    """The case that is named, or the first of the suite, as two: A and B.

    Raises:
        UsageError, WorkloadError, BackendError: as when it is measured once.
    """
    chosen = choose_workload(workload or suite.workloads[0], policy, None, None, "uint16")
    name = backend or _first_available(suite.device)
    case = make_case(chosen, name, recipe, replacing=None if recipe else suite.recipe.get(name))
    return [replace(case, recipe=replace(case.recipe, name=f"{case.recipe.name} {half}")) for half in "AB"]


def _first_available(device: Literal["cpu", "accelerator"]) -> str:
    here = availabilities()
    for name in suite_backends(device):
        if here[name].available:
            return name
    raise UsageError(f"no {device} backend is available here", "see: fairchip doctor")


def print_noise(margin: float, records: Sequence[RunRecord]) -> None:
    """The noise of both halves, and whether they were told apart, on standard output."""
    cases = group_cases({"": records})
    table = Table(*HEADINGS, box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="underline")
    for row in noise_rows([case for case in cases if case.ranked]):
        table.add_row(*map(plain, row))
    console = Console()
    (console if console.is_terminal else Console(width=100)).print(table)
    if len(cases) == 2 and all(case.ranked for case in cases):
        print(self_comparison_line(throughput_ratio(cases[0], cases[1]), margin))
    print()
