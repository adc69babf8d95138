"""How long runs will take: as long as the same ones took here before, else a guess."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.describe import record_case
from bench.folders import RUNS_FOLDER
from bench.schedule import Campaign, Turn
from results.errors import RecordError
from results.record import Case as RecordedCase
from results.record import RunRecord
from results.store import load_all, record_files
from results.summary import took_seconds

START_SECONDS = 30.0
"""A guess at imports, compilation and the first step, where nothing is known."""
WINDOWS_BESIDE = 12.0
"""Windows' worth of warm-up and self-check beside the timed ones, where nothing is known."""
FOLDERS_READ = 3

Kind = tuple[str, str, int, str, str]
"""Work, backend, devices, recipe, role: runs that take about as long."""


class Forecast:
    """What is known of the length of runs on this machine; it learns while they end."""

    def __init__(self, campaign: Campaign, known: Iterable[RunRecord]) -> None:
        self._campaign, self._host = campaign, campaign.environment.host_id
        self._kinds = {id(case): _kind(record_case(case)) for case in campaign.cases}
        self._seconds: defaultdict[Kind, list[float]] = defaultdict(list)
        for record in known:
            self.learn(record)

    def learn(self, record: RunRecord) -> None:
        """The next run of its kind will take as long: also a failed one, since it is likely to fail again."""
        if record.environment.host_id == self._host:
            self._seconds[(*_kind(record.case), record.place.role)].append(took_seconds(record))

    def knows(self, turns: Sequence[Turn]) -> bool:
        """Whether all of these have been run here before."""
        return all(self._known(turn) for turn in turns)

    def seconds(self, turns: Iterable[Turn]) -> float:
        """What these take: each as the longest of the last three of its kind, or a guess."""
        return sum(max(self._known(turn)[-3:], default=self._guess(turn)) for turn in turns)

    def _known(self, turn: Turn) -> list[float]:
        return self._seconds.get((*self._kinds[id(turn.case)], turn.role), [])

    def _guess(self, turn: Turn) -> float:
        plan = turn.plan(self._campaign)
        return START_SECONDS + (plan.window_seconds * (plan.windows + WINDOWS_BESIDE) if plan.windows else 0.0)


def _kind(case: RecordedCase) -> tuple[str, str, int, str]:
    return case.digest, case.backend, case.world_size, json.dumps(case.recipe, sort_keys=True)


def earlier_records(folder: Path = RUNS_FOLDER) -> list[RunRecord]:
    """Records of the newest folders, for what they tell of durations; those that cannot be read tell nothing."""
    found: list[RunRecord] = []
    for each in sorted(folder.glob("*Z-*"))[-FOLDERS_READ:]:
        try:
            found += load_all(record_files(each))
        except RecordError:
            continue
    return found
