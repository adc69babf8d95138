"""Compile caches of a suite: empty for a case's cold start, then shared by its runs."""

from pathlib import Path
from typing import Literal

from bench.plan import Case

CacheState = Literal["cold", "warm"]


class CompileCaches:
    """One folder a case below a folder of the suite; a cold start after the first has one of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._filled: set[str] = set()

    def of(self, case: Case, cold_start_number: int) -> tuple[Path, CacheState]:
        """Folder of this case's cache, and whether a run that ended well has filled it."""
        name = _name(case, cold_start_number)
        return self._folder / name, "warm" if name in self._filled else "cold"

    def filled(self, case: Case, cold_start_number: int) -> None:
        """A run ended well, so its cache holds what it compiled."""
        self._filled.add(_name(case, cold_start_number))


def _name(case: Case, cold_start_number: int) -> str:
    again = f"-cold{cold_start_number}" if cold_start_number else ""
    return f"{case.workload.digest[:12]}-{case.backend}-{case.recipe.name}{again}".replace("/", "_")
