"""Compile caches of a suite: empty for a case's cold start, then shared by its runs."""

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock

from bench.plan import Case

CacheState = Literal["cold", "warm"]

FOLDER_PREFIX = "fairchip-cache-"
"""Of the caches' folder in the temporary folder."""
_LOCK = ".lock"
"""Held in the folder while its suite runs: a process number says nothing where containers share the folder."""


@contextmanager
def cache_folder() -> Iterator[Path]:
    """An empty folder for the caches of a suite, gone at the end; what a killed suite left goes now."""
    for left in left_over_caches():
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as folder:
        lock = FileLock(Path(folder) / _LOCK)
        with contextlib.suppress(OSError):  # without locks here, nobody can tell a left folder from one in use
            lock.acquire()
        yield Path(folder)
        lock.release()


def left_over_caches() -> list[Path]:
    """Cache folders of ours whose suite is gone."""
    found = sorted(Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"))
    return [folder for folder in found if _is_ours(folder) and not _is_locked(folder)]


def _is_locked(folder: Path) -> bool:
    """One that cannot be asked counts as locked, as does one that is being made and has no lock yet."""
    if not (folder / _LOCK).exists():
        return True
    try:
        with FileLock(folder / _LOCK, timeout=0):
            return False
    except (OSError, NotImplementedError):
        return True


def _is_ours(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    return False


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
    """Of plain characters alone: torch hands a path with a space to its C++ compiler as two."""
    own = f"{case.backend}-x{case.world_size}-{case.recipe.name}"
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", own)
    apart = "" if plain == own else f"-{hashlib.sha256(own.encode()).hexdigest()[:8]}"
    again = f"-cold{cold_start_number}" if cold_start_number else ""
    return f"{case.workload.digest[:12]}-{plain}{apart}{again}"
