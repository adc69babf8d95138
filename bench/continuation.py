"""Continue an interrupted suite: which records of its folder stand, and which rounds are to be run again."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from bench.describe import record_run
from bench.errors import UsageError
from bench.process import WorkerEnd
from bench.schedule import Campaign, Turn, schedule
from results.errors import RecordError
from results.planning import MOST_RUNS
from results.record import RunRecord
from results.store import load_all, record_files
from results.summary import machine_key

Slot = tuple[str, int, int]
"""Role, round, and position in the round: one run of a suite."""

FOLDERS_LOOKED_AT = 20
"""Older ones are left alone: reading takes time, and nobody continues what was begun so long ago."""

_NOTHING_YET = WorkerEnd(status="failed", reason="", measurement=None, stderr_tail="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a suite has come."""

    suite_id: str
    kept: tuple[RunRecord, ...] = ()
    """Records of finished rounds."""
    unfinished: tuple[RunRecord, ...] = ()
    """Records of a round that was interrupted: it is run again as a whole."""

    def missing(self, turns: Iterable[Turn]) -> list[Turn]:
        """The turns that no kept record fills, in order."""
        filled = {_slot(record) for record in self.kept}
        return [turn for turn in turns if (turn.role, turn.round, turn.order) not in filled]


def find_standing(campaign: Campaign) -> Standing:
    """What the campaign's folder holds of it; nothing yet is a new suite.

    Raises:
        RecordError: a record cannot be read.
        UsageError: the records are of something else, and in what.
    """
    records = load_all(record_files(campaign.folder))
    if not records:
        return Standing(suite_id=uuid4().hex)
    if differs := _differences(campaign, records):
        raise UsageError(
            f"{campaign.folder} holds records of something else: another {', '.join(differs)}",
            "choose a new folder with --out, or measure again into one with --again",
        )
    return _standing(records, len(campaign.cases))


def newest_of_same_kind(campaign: Campaign, folders: Sequence[Path]) -> tuple[Campaign | None, str]:
    """The campaign in the last of these folders that holds records of just this campaign, or None.

    And why the last folder is not that one; empty if it is, or if there is none.
    """
    why = ""
    for folder in reversed(folders[-FOLDERS_LOOKED_AT:]):
        files = record_files(folder)
        differs = _why_not(campaign, files[:1]) or _why_not(campaign, files)
        if files and not differs:
            return replace(campaign, folder=folder), why
        why = why or (f"{folder} is not continued: {differs}" if files else "")
    return None, why


def _why_not(campaign: Campaign, files: Sequence[Path]) -> str:
    """Why these records are not the campaign's; empty if they are."""
    try:
        records = load_all(files)
    except RecordError as error:
        return error.message
    differs = _differences(campaign, records) if records else []
    return f"it is of another {', '.join(differs)}" if differs else ""


def _standing(records: Sequence[RunRecord], cases: int) -> Standing:
    rounds: defaultdict[tuple[str, int], list[RunRecord]] = defaultdict(list)
    for record in sorted(records, key=_slot):
        rounds[record.place.role, record.place.round].append(record)
    return Standing(
        suite_id=records[0].place.suite_id,
        kept=tuple(record for found in rounds.values() if len(found) == cases for record in found),
        unfinished=tuple(record for found in rounds.values() if len(found) < cases for record in found),
    )


def _slot(record: RunRecord) -> Slot:
    return record.place.role, record.place.round, record.place.order


def _differences(campaign: Campaign, records: Sequence[RunRecord]) -> list[str]:
    """In what the first record that is not the campaign's differs from the one that it would have made there."""
    suite_id = records[0].place.suite_id
    planned = schedule(_as_long(campaign, records), suite_id)
    turns: dict[Slot, Turn] = {(turn.role, turn.round, turn.order): turn for turn in planned}
    expected: dict[tuple[str, int], dict[str, object]] = {}
    for record in records:
        turn = turns.get(_slot(record))
        if turn is None or record.place.suite_id != suite_id:
            return ["suite, or number of runs"]
        kind = turn.role, campaign.cases.index(turn.case)
        if kind not in expected:
            expected[kind] = _identity(record_run(campaign, turn, suite_id, datetime.now(UTC), _NOTHING_YET))
        theirs = _identity(record)
        if differs := [name for name, value in expected[kind].items() if value != theirs[name]]:
            return differs
    return []


def _as_long(campaign: Campaign, records: Sequence[RunRecord]) -> Campaign:
    """The campaign, where a pilot decided its length with as many runs as were made already."""
    if campaign.pilot_runs is None:
        return campaign
    made = max(record.place.round + 1 for record in records)
    return replace(campaign, runs=max(campaign.runs, min(made, MOST_RUNS)))


def _identity(record: RunRecord) -> dict[str, object]:
    """What must be equal for two runs to be of one suite, by the names that people use."""
    place, case, environment = record.place, record.case, record.environment
    return {
        "suite": place.suite,
        "number of runs": place.runs_planned if place.pilot_runs is None else f"by a pilot of {place.pilot_runs}",
        "precision to reach": place.target_half_width,
        "order of cases": place.case_index,
        "workload": case.digest,
        "backend": (case.backend, case.device_type, case.world_size),
        "recipe": case.recipe,
        "plan": record.plan,
        "machine": machine_key(record),
        "Python": environment.python,
        "set of installed packages": environment.packages_sha256,
        "version of fairchip": environment.source_sha256,
        "set of environment variables": environment.variables,
    }
