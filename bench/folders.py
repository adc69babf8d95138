"""Where the records of an invocation go: a folder of its own, or the one that the same command began."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from bench.continuation import newest_of_same_kind
from bench.entry import say
from bench.errors import UsageError
from bench.schedule import Campaign
from results.store import record_files

RUNS_FOLDER = Path("results") / "runs"


def placed(campaign: Campaign, out: Path | None, *, again: bool) -> Campaign:
    """The campaign with its folder: ``out``, else the newest that the same command began, else a new one.

    ``again`` asks for a folder without records.
    """
    if out is not None:
        return replace(campaign, folder=_free(out) if again else out)
    stamp, name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), _slug(campaign.suite)
    begun, why_not = (None, "") if again else newest_of_same_kind(campaign, sorted(RUNS_FOLDER.glob(f"*Z-{name}")))
    if why_not:
        say(why_not)
    return begun or replace(campaign, folder=_free(RUNS_FOLDER / f"{stamp}-{name}"))


def newest_folder() -> Path:
    """The folder of records that was written last.

    Raises:
        UsageError: there is none.
    """
    found = {path.parent for path in RUNS_FOLDER.glob("*/*.json")}
    if not found:
        raise UsageError(f"no records below {RUNS_FOLDER}", "run `make bench` first, or name a folder of records")
    return max(found, key=lambda folder: (folder.stat().st_mtime, folder.name))


def _free(folder: Path) -> Path:
    """The folder, or the same with a number, whichever first holds no records."""
    numbered = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
    return next(other for other in chain([folder], numbered) if not record_files(other))


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]", "_", Path(name).stem)[:80]
