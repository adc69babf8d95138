"""Run a suite: cold starts, then rounds in random order, every run a fresh process and a record.

An interrupted suite goes on where it stopped: finished rounds stand, the unfinished one is run again as a whole.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from backends.registry import availability, load_backend
from bench.compile_caches import CacheState, CompileCaches, cache_folder
from bench.continuation import Standing, find_standing
from bench.describe import recipe_variables, record_run
from bench.effort import Budget
from bench.forecast import Forecast
from bench.interruption import TimeIsUp, limited
from bench.plan import Case, MeasurePlan
from bench.privacy import scrubbed
from bench.process import WorkerEnd, run_worker
from bench.progress import Display
from bench.schedule import Campaign, Turn, rounds_of, schedule
from bench.worker import job_line
from results.record import RunRecord
from results.store import owned, save, set_aside

Lengthen = Callable[[Campaign, Sequence[RunRecord]], Campaign]
"""Given the campaign and the records of its whole pilot, the campaign as long as these ask for."""
OnProgress = Callable[[str, int, int], None]
"""Told the phase, how much of it is done, and of how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of a campaign."""

    campaign: Campaign
    """As it was run: with a precision to reach, as long as its pilot asked for."""
    records: Sequence[RunRecord]
    """Of whole rounds, those found included."""
    new_runs: int
    """Of these, how many were made now."""

    @property
    def is_whole(self) -> bool:
        """Whether all that was planned is there."""
        return len(self.records) >= self.campaign.total_runs


def run_campaign(campaign: Campaign, display: Display, forecast: Forecast, lengthened: Lengthen) -> Made:
    """Run everything that the folder does not hold yet; each record is on disk before the next run starts.

    Blocks for the whole suite, or until its budget ends: then the rounds that would not be over in time are not
    begun, and one that is cut is no part of the answer. ``lengthened`` is asked once the pilot is whole.

    Raises:
        RecordError: the folder cannot be written, or another process writes there.
        UsageError: the folder holds records of something else.
    """
    with owned(campaign.folder), cache_folder() as folder:
        standing = find_standing(campaign)
        for record in standing.unfinished:
            set_aside(record, campaign.folder)
        display.begin(campaign.folder, len(standing.kept), campaign.total_runs)
        stage = _Stage(campaign, standing, CompileCaches(folder), display, forecast)
        made = stage.run(campaign)
        if campaign.pilot_runs == campaign.runs and made.is_whole:
            longer = lengthened(campaign, made.records)
            display.begin(campaign.folder, len(made.records), longer.total_runs)
            made = stage.run(longer)
    return made


class _Stage:
    """The rounds of one suite as they are made: the caches and what is known of durations outlive its pilot."""

    def __init__(
        self, campaign: Campaign, standing: Standing, caches: CompileCaches, display: Display, forecast: Forecast
    ) -> None:
        self._standing, self._caches, self._display, self._forecast = standing, caches, display, forecast
        self._records = list(standing.kept)

    def run(self, campaign: Campaign) -> Made:
        """Every missing round of the campaign that its budget allows."""
        standing = replace(self._standing, kept=tuple(self._records))
        after = standing.missing(schedule(campaign, standing.suite_id))
        for turns in rounds_of(after):
            after = after[len(turns) :]
            if not self._fits(campaign.budget, turns):
                break
            try:
                self._records += self._round(campaign, turns, after)
            except TimeIsUp:
                break
        return Made(
            campaign=campaign, records=tuple(self._records), new_runs=len(self._records) - len(self._standing.kept)
        )

    def _fits(self, budget: Budget | None, turns: Sequence[Turn]) -> bool:
        """Whether the round will be over before the budget is; one whose length nobody knows is tried."""
        if budget is None:
            return True
        needed = self._forecast.seconds(turns) if self._forecast.knows(turns) else 0.0
        return needed < budget.left_seconds

    def _round(self, campaign: Campaign, turns: Sequence[Turn], after: Sequence[Turn]) -> list[RunRecord]:
        """``after``: the turns that are expected once the round is over."""
        records: list[RunRecord] = []
        for turn in turns:
            self._display.start(scrubbed(turn.case.name), turn.role, turn.round)
            with limited(campaign.budget.left_seconds if campaign.budget else None):
                record = run_turn(campaign, turn, self._standing.suite_id, self._caches, self._display.progress)
            save(record, campaign.folder)
            records.append(record)
            self._forecast.learn(record)
            left = [*turns[len(records) :], *after]
            self._display.finish(record, self._forecast.seconds(left), guessed=not self._forecast.knows(left))
        return records


def run_turn(
    campaign: Campaign, turn: Turn, suite_id: str, caches: CompileCaches, on_progress: OnProgress
) -> RunRecord:
    """One run and its record, whatever happens in it."""
    created = datetime.now(UTC)
    cache, state = caches.of(turn.case, turn.cold_start_number)
    end = _run_worker(turn.case, turn.plan(campaign), cache, state, on_progress)
    if end.status == "ok":
        caches.filled(turn.case, turn.cold_start_number)
    return record_run(campaign, turn, suite_id, created, end)


def _run_worker(case: Case, plan: MeasurePlan, cache: Path, state: CacheState, on_progress: OnProgress) -> WorkerEnd:
    """How the worker ended; a plug-in may fail in any way."""
    available = availability(case.backend)
    if not available.available:
        return _ended("unavailable", f"{available.reason}; {available.fix}")
    try:
        variables, job = recipe_variables(case, cache), job_line(case, state, plan)
        return run_worker(
            job,
            variables,
            plan.time_limit_seconds,
            lambda progress: on_progress(progress.phase, progress.done, progress.of),
            load_backend(case.backend).samplers(),
        )
    except Exception as error:
        return _ended("failed", f"the worker did not start: {type(error).__name__}: {error}")


def _ended(status: Literal["unavailable", "failed"], reason: str) -> WorkerEnd:
    return WorkerEnd(status=status, reason=reason, measurement=None, stderr_tail="")
