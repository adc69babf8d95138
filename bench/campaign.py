"""Run a suite: one cold start a case, then rounds in random order, every run a fresh process and a record."""

import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from backends.registry import availability, load_backend
from bench.compile_caches import CacheState, CompileCaches
from bench.describe import record_case, record_plan, record_reference
from bench.environment import CACHE_MARK, read_environment, with_variables
from bench.plan import Case, MeasurePlan
from bench.privacy import scrubbed
from bench.process import WorkerEnd, run_worker
from bench.progress import Display
from bench.worker import job_line
from results.gates import evaluate
from results.record import Environment, Place, RunRecord
from results.store import prepare, save


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What one invocation runs."""

    suite: str
    cases: Sequence[Case]
    plan: MeasurePlan
    runs: int
    cold_starts: int
    folder: Path
    """Where the records go."""

    @property
    def total_runs(self) -> int:
        """Worker processes that will be started."""
        return len(self.cases) * (self.cold_starts + self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One run to make."""

    case: Case
    role: Literal["cold-start", "timed"]
    round: int
    order: int

    @property
    def cold_start_number(self) -> int:
        """Which cold start this is; 0 for timed runs, which share the first one's cache."""
        return self.round if self.role == "cold-start" else 0


def schedule(campaign: Campaign, seed: str) -> list[Turn]:
    """Cold starts first, then every round in an order of its own, so that a drift favours no case."""
    shuffle = random.Random(seed).sample
    turns: list[Turn] = []
    roles: list[tuple[Literal["cold-start", "timed"], int]] = [
        *(("cold-start", number) for number in range(campaign.cold_starts)),
        *(("timed", number) for number in range(campaign.runs)),
    ]
    for role, number in roles:
        order = shuffle(list(campaign.cases), len(campaign.cases))
        turns += [Turn(case=case, role=role, round=number, order=place) for place, case in enumerate(order)]
    return turns


def run_campaign(campaign: Campaign, display: Display) -> list[RunRecord]:
    """Run everything; each record is on disk before the next run starts. Blocks for the whole suite.

    Raises:
        RecordError: the folder cannot be written, or holds records already.
    """
    prepare(campaign.folder)
    suite_id, environment = uuid.uuid4().hex, read_environment()
    records: list[RunRecord] = []
    with TemporaryDirectory(prefix="fairchip-cache-", ignore_cleanup_errors=True) as folder:
        caches = CompileCaches(Path(folder))
        for turn in schedule(campaign, suite_id):
            display.start(turn.case.name, turn.role, turn.round)
            record = run_turn(campaign, turn, suite_id, environment, caches, display.progress)
            save(record, campaign.folder)
            records.append(record)
            display.finish(record)
    return records


def run_turn(
    campaign: Campaign,
    turn: Turn,
    suite_id: str,
    environment: Environment,
    caches: CompileCaches,
    on_progress: Callable[[str, int, int], None],
) -> RunRecord:
    """One run and its record, whatever happens in it."""
    case, created = turn.case, datetime.now(UTC)
    plan = campaign.plan if turn.role == "timed" else _cold(campaign.plan)
    cache, state = caches.of(case, turn.cold_start_number)
    variables, end = _run_worker(case, plan, cache, state, on_progress)
    if end.status == "ok":
        caches.filled(case, turn.cold_start_number)
    shown = {name: value.replace(str(cache), CACHE_MARK) for name, value in variables.items()}
    record = RunRecord(
        schema_version=1,
        run_id=uuid.uuid4().hex,
        created_at=created.isoformat(timespec="milliseconds"),
        provenance="simulated" if getattr(load_backend(case.backend), "simulated", False) else "measured",
        status=end.status,
        reason=scrubbed(end.reason),
        place=Place(
            suite=campaign.suite,
            suite_id=suite_id,
            role=turn.role,
            round=turn.round,
            order=turn.order,
            case_index=campaign.cases.index(case),
            runs_planned=campaign.runs,
        ),
        case=record_case(case),
        plan=record_plan(plan),
        reference=record_reference(case.workload),
        measurement=end.measurement,
        host_samples=end.host_samples,
        environment=with_variables(environment, shown),
        stderr_tail=scrubbed(end.stderr_tail),
        gates=(),
    )
    return record.model_copy(update={"gates": evaluate(record)})


def _run_worker(
    case: Case,
    plan: MeasurePlan,
    cache: Path,
    state: CacheState,
    on_progress: Callable[[str, int, int], None],
) -> tuple[Mapping[str, str], WorkerEnd]:
    """The variables that the backend asked for, and how the worker ended; a plug-in may fail in any way."""
    available = availability(case.backend)
    if not available.available:
        return {}, _ended("unavailable", f"{available.reason}; {available.fix}")
    try:
        variables = dict(load_backend(case.backend).environment(case.recipe, cache))
        job = job_line(case, state, plan)
        return variables, run_worker(
            job, variables, plan.time_limit_seconds, lambda p: on_progress(p.phase, p.done, p.of)
        )
    except Exception as error:
        return {}, _ended("failed", f"the worker did not start: {type(error).__name__}: {error}")


def _ended(status: Literal["unavailable", "failed"], reason: str) -> WorkerEnd:
    return WorkerEnd(status=status, reason=reason, measurement=None, stderr_tail="", host_samples=())


def _cold(plan: MeasurePlan) -> MeasurePlan:
    """A cold start is the first step alone."""
    return replace(plan, windows=0)
