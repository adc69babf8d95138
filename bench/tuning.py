"""`fairchip tune`: a backend's recipes searched, field by field, for the fastest honest one of a workload.

Every candidate takes turns with the best recipe so far, in fresh processes and through every gate. What the search
finds is held against as-is in runs that it did not see; only these decide, and "none is better" is an answer.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backends.contract import Backend
from backends.errors import BackendError
from backends.memory_plan import plan_memory
from backends.recipe import Recipe, Tuning, resolve
from backends.registry import load_backend
from backends.search_space import SearchSpace
from bench.campaign import run_campaign
from bench.entry import say
from bench.environment import read_environment
from bench.errors import UsageError
from bench.forecast import Forecast
from bench.plan import Case, MeasurePlan
from bench.progress import Display, minutes
from bench.schedule import Campaign
from results.compare import group_cases, throughput_ratio
from results.record import RunRecord
from results.stats import Interval
from results.summary import CaseSummary, took_seconds
from workloads.names import LONGEST_NAME
from workloads.spec import Workload

SEARCH_PLAN = MeasurePlan(windows=4, window_seconds=0.5, warmup_maximum_seconds=20.0, time_limit_seconds=3600.0)
"""Of the runs that search: short, but with as many steps before the windows as every gate needs."""
EARLY_LOSS = 0.9
"""A candidate that reaches less of the best recipe's pace in its first run is not run again."""
CONTEST_ROUNDS = 3
LEAST_GAIN = 1.01
"""What a candidate must gain over the best recipe so far to take its place; the final runs decide what is true."""

Outcome = Literal["ahead", "behind", "the same", "lost early", "rejected", "does not fit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What became of one candidate."""

    change: str
    """To the best recipe before it."""
    outcome: Outcome
    pace: float | None = None
    """Tokens per second over the best recipe's, in the same rounds."""
    note: str = ""

    def line(self) -> str:
        """For the log."""
        pace = "" if self.pace is None else f"x{self.pace:.3f}"
        return f"  {self.change:<44} {pace:>7}  {self.outcome}{': ' * bool(self.note)}{self.note}"


def search_space(backend: Backend, workload: Workload) -> SearchSpace:
    """What the backend offers.

    Raises:
        UsageError: nothing.
    """
    offered = getattr(backend, "search_space", None)
    if offered is None:
        raise UsageError(f"backend {backend.name!r} has no search space", "see docs/add-a-backend.md")
    return dict(offered(workload))


class Search:
    """One search; its records are kept in a folder below ``folder`` for each field, where a stopped one goes on."""

    def __init__(self, case: Case, folder: Path, minutes_at_most: float) -> None:
        """``case`` holds the as-is recipe, its micro-batch settled."""
        backend = load_backend(case.backend)
        self._case, self.folder, self._limit = case, folder, 60 * minutes_at_most
        self._space = search_space(backend, case.workload)
        self._tried = {_key(case.recipe)}
        self._smallest_failure = math.inf
        self._changes: list[str] = []
        self._environment = read_environment()
        self.records: list[RunRecord] = []
        self.trials: list[Trial] = []
        self.as_is = self.best = backend.recipes(case.workload)["as-is"]
        """Their micro-batch still open."""

    @property
    def candidates(self) -> int:
        """At most so many are tried."""
        return sum(len(values) for values in self._space.values())

    @property
    def seconds(self) -> float:
        """That its runs took."""
        return math.fsum(map(took_seconds, self.records))

    def run(self) -> None:
        """Every field in turn, until the time for it is over; blocks.

        Raises:
            UsageError: as-is itself cannot be measured here.
            RecordError: the folder cannot be written.
        """
        for number, (field, values) in enumerate(self._space.items(), start=1):
            if self.seconds > self._limit:
                say(f"search: {minutes(self.seconds)} are over; {field} and what follows are not tried")
                return
            self._try_field(number, field, list(self._candidates(field, values)))

    def changes(self) -> str:
        """In what the best recipe differs from as-is."""
        return "; ".join(self._changes)

    def effort(self) -> str:
        """What the search took, in words."""
        tried, rejected = len(self.trials), self._rejected
        return f"{tried} recipes tried, {rejected} rejected, {len(self.records)} runs, {minutes(self.seconds)}"

    @property
    def _rejected(self) -> int:
        return sum(trial.outcome in ("rejected", "does not fit") for trial in self.trials)

    def evidence(self, ratio: Interval, record: RunRecord) -> Tuning:
        """For the recipe's file: the effort, and what the final runs said; ``ratio`` has both ends."""
        device = record.measurement.session.get("device_name") if record.measurement else None
        on_cpu = record.case.device_type == "cpu"
        return Tuning(
            backend=self._case.backend,
            workload=self._case.workload.name,
            digest=self._case.workload.digest,
            machine=str((record.environment.cpu_model if on_cpu else device) or "unknown"),
            day=record.created_at[:10],
            cost_ratio=round(ratio.estimate, 4),
            cost_ratio_low=round(ratio.low or 0.0, 4),
            cost_ratio_high=round(ratio.high or math.inf, 4),
            rounds=ratio.runs,
            recipes_tried=len(self.trials),
            recipes_rejected=self._rejected,
            search_runs=len(self.records),
            search_minutes=round(self.seconds / 60, 1),
        )

    def _candidates(self, field: str, values: Sequence[Any]) -> Iterator[Recipe]:
        """The best recipe with each other value, as far as it is new and may fit."""
        for value in values:
            name = _change(self.best, field, value)[:LONGEST_NAME]
            changed = replace(self.best, micro_batch=None) if field == "micro_batch_tokens" else self.best
            changed = replace(changed, **{field: value}, name=name, track="custom")
            try:
                case = self.as_case(changed)
            except BackendError as error:
                self._log(Trial(change=name, outcome="rejected", note=error.message))
                continue
            if _key(case.recipe) in self._tried:
                continue
            self._tried.add(_key(case.recipe))
            if self._needs(case) >= self._smallest_failure:
                self._log(Trial(change=name, outcome="does not fit", note="needs more than what ran out of memory"))
                continue
            yield changed

    def _try_field(self, number: int, field: str, others: list[Recipe]) -> None:
        """One run of each, then three of those that are not far behind; the fastest takes the place of the best."""
        if not others:
            return
        name = f"{number:02d}-{field}"
        first = self._measured(name, others, rounds=1)
        left = [other for other in others if self._stands(first, other, field)]
        if not left:
            return
        contest = self._measured(f"{name}-contest", left, rounds=CONTEST_ROUNDS)
        paces = {other.name: _pace(contest[other.name], contest[self.best.name]) for other in left}
        fastest = max(left, key=lambda other: paces[other.name] or 0.0)
        for other in left:
            pace = paces[other.name]
            ahead = other is fastest and pace is not None and pace >= LEAST_GAIN
            self._log(Trial(change=other.name, outcome="ahead" if ahead else "behind", pace=pace))
            if ahead:
                self.best = other
                self._changes.append(other.name)

    def _stands(self, first: dict[str, CaseSummary], other: Recipe, field: str) -> bool:
        """Whether a candidate is worth more runs; if not, why is logged."""
        found, best = first[other.name], first[self.best.name]
        if not best.ranked:
            raise UsageError(f"{best.label} itself cannot be measured here: {_why(best)}", "see: fairchip doctor")
        if not found.ranked:
            if any(record.status == "out-of-memory" for record in found.records):
                self._smallest_failure = min(self._smallest_failure, self._needs(self.as_case(other)))
            self._log(Trial(change=other.name, outcome="rejected", note=_why(found)))
            return False
        if _runs_alike(found, best, field):
            self._log(Trial(change=other.name, outcome="the same", note="the best recipe so far chooses it by itself"))
            return False
        pace = _pace(found, best)
        if pace is not None and pace < EARLY_LOSS:
            self._log(Trial(change=other.name, outcome="lost early", pace=pace))
            return False
        return True

    def _measured(self, name: str, others: Sequence[Recipe], rounds: int) -> dict[str, CaseSummary]:
        """The best recipe and these, interleaved, by the names of their recipes."""
        cases = [self.as_case(recipe) for recipe in (self.best, *others)]
        campaign = Campaign(
            suite="tune",
            cases=cases,
            plan=SEARCH_PLAN,
            runs=rounds,
            cold_starts=0,
            folder=self.folder / name,
            environment=self._environment,
        )
        with Display(campaign.total_runs) as display:
            made = run_campaign(campaign, display, Forecast(campaign, self.records), lambda pilot, records: pilot)
        self.records += made.records
        return {str(case.first.case.recipe["name"]): case for case in group_cases({"": made.records})}

    def as_case(self, recipe: Recipe) -> Case:
        """The case with this recipe.

        Raises:
            BackendError: its micro-batch does not fit the workload.
        """
        case = self._case
        return replace(case, recipe=resolve(recipe, case.workload, case.world_size))

    def _needs(self, case: Case) -> int:
        return plan_memory(case.workload, case.recipe, case.world_size).total

    def _log(self, trial: Trial) -> None:
        self.trials.append(trial)
        print(trial.line(), flush=True)


def _key(recipe: Recipe) -> Recipe:
    """What tells two resolved recipes apart: what they do."""
    same = replace(recipe, name="", track="custom", micro_batch_tokens=None, tuning=None)
    return replace(same, environment=tuple(sorted(recipe.environment.items())))  # type: ignore[arg-type] # hashable


def _pace(ours: CaseSummary, theirs: CaseSummary) -> float | None:
    return throughput_ratio(ours, theirs).estimate if ours.ranked and theirs.ranked else None


def _runs_alike(one: CaseSummary, other: CaseSummary, field: str) -> bool:
    """Whether their sessions say the same of what really ran, the field among it."""
    ours, theirs = (case.ranked[0].measurement for case in (one, other))
    return bool(ours and theirs and field in ours.session and ours.session == theirs.session)


def _why(case: CaseSummary) -> str:
    """Why it has no rank, in few words."""
    return (case.problems or ("no run has a rank",))[0]


def _change(best: Recipe, field: str, value: Any) -> str:
    """In the words of a recipe file; of variables, those that differ."""
    if field != "environment":
        return f"{field} = {str(value).lower() if isinstance(value, bool | None) else value}"
    added = [f"{name} = {text}" for name, text in value.items() if best.environment.get(name) != text]
    return ", ".join(added + [f"no {name}" for name in best.environment if name not in value])
