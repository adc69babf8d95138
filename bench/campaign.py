"""Run a suite: cold starts, then rounds in random order, every run a fresh process and a record.

An interrupted suite goes on where it stopped: finished rounds stand, the unfinished one is run again as a whole.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from backends.registry import availability, load_backend
from bench.compile_caches import CacheState, CompileCaches, cache_folder
from bench.continuation import find_standing
from bench.describe import recipe_variables, record_run
from bench.effort import Budget
from bench.forecast import Forecast
from bench.plan import Case, MeasurePlan
from bench.privacy import scrubbed
from bench.process import WorkerEnd, run_worker
from bench.progress import Display
from bench.schedule import Campaign, Turn, rounds_of, schedule
from bench.worker import job_line
from results.record import RunRecord
from results.store import owned, save, set_aside

OnProgress = Callable[[str, int, int], None]
"""Told the phase, how much of it is done, and of how much."""


def run_campaign(campaign: Campaign, display: Display) -> list[RunRecord]:
    """Run everything that the folder does not hold yet; each record is on disk before the next run starts.

    Blocks for the whole suite. Returns the records of the whole suite, those found included; with a budget, without
    the rounds that would not have been over in time.

    Raises:
        RecordError: the folder cannot be written, or another process writes there.
        UsageError: the folder holds records of something else.
    """
    with owned(campaign.folder):
        standing = find_standing(campaign)
        for record in standing.unfinished:
            set_aside(record, campaign.folder)
        display.begin(campaign.folder, len(standing.kept))
        records, forecast = list(standing.kept), Forecast(campaign, standing.kept)
        with cache_folder() as folder:
            caches = CompileCaches(folder)
            for turns in rounds_of(standing.missing(schedule(campaign, standing.suite_id))):
                if not _fits(campaign.budget, forecast, turns):
                    break
                for turn in turns:
                    display.start(scrubbed(turn.case.name), turn.role, turn.round)
                    record = run_turn(campaign, turn, standing.suite_id, caches, display.progress)
                    save(record, campaign.folder)
                    records.append(record)
                    forecast.learn(record)
                    display.finish(record)
    return records


def _fits(budget: Budget | None, forecast: Forecast, turns: Sequence[Turn]) -> bool:
    """Whether the round will be over before the budget is; one whose length nobody knows is tried."""
    return budget is None or not forecast.knows(turns) or forecast.seconds(turns) <= budget.left_seconds


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
