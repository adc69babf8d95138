"""Run a suite: one cold start a case, then rounds in random order, every run a fresh process and a record."""

import random
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from backends.registry import load_backend
from bench.describe import record_case, record_plan, record_reference
from bench.environment import CACHE_MARK, read_environment, with_variables
from bench.plan import Case, MeasurePlan
from bench.process import WorkerEnd, run_worker
from bench.progress import Display
from bench.worker import job_line
from results.gates import evaluate
from results.record import Environment, Place, RunRecord
from results.store import prepare, save

COLD_PLAN = {"windows": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What one invocation runs."""

    suite: str
    cases: Sequence[Case]
    plan: MeasurePlan
    runs: int
    cold_starts: int
    folder: Path
    """Where the records go; compile caches go below it too, so that a cold start is cold."""

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
    caches = _Caches(campaign.folder / "cache")
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
    caches: "_Caches",
    on_progress: Callable[[str, int, int], None],
) -> RunRecord:
    """One run and its record, whatever happens in it."""
    case, backend = turn.case, load_backend(turn.case.backend)
    cache, state = caches.of(turn)
    plan = campaign.plan if turn.role == "timed" else _cold(campaign.plan)
    variables = backend.environment(case.recipe, cache)
    created = datetime.now(UTC)
    available = backend.probe()
    if available.available:
        job = job_line(case, state, plan)
        end = run_worker(job, variables, plan.time_limit_seconds, lambda p: on_progress(p.phase, p.done, p.of))
    else:
        reason = f"{available.reason}; {available.fix}"
        end = WorkerEnd(status="unavailable", reason=reason, measurement=None, stderr_tail="", host_samples=())
    shown = {name: value.replace(str(cache), CACHE_MARK) for name, value in variables.items()}
    record = RunRecord(
        schema_version=1,
        run_id=uuid.uuid4().hex,
        created_at=created.isoformat(timespec="milliseconds"),
        provenance="simulated" if getattr(backend, "simulated", False) else "measured",
        status=end.status,
        reason=end.reason,
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
        stderr_tail=end.stderr_tail,
        gates=(),
    )
    return record.model_copy(update={"gates": evaluate(record)})


class _Caches:
    """Compile caches, one a case: empty for its cold starts, then shared by its runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: set[str] = set()

    def of(self, turn: Turn) -> tuple[Path, Literal["cold", "warm"]]:
        """Folder and state of the cache for this run."""
        name = f"{turn.case.workload.digest[:12]}-{turn.case.backend}-{turn.case.recipe.name}".replace("/", "_")
        if turn.role == "cold-start" and turn.round > 0:
            return self._folder / f"{name}-cold{turn.round}", "cold"
        state: Literal["cold", "warm"] = "warm" if name in self._used else "cold"
        self._used.add(name)
        return self._folder / name, state


def _cold(plan: MeasurePlan) -> MeasurePlan:
    return MeasurePlan(**{**asdict(plan), **COLD_PLAN})
