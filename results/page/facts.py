"""Everything behind a section that a reader may open: environments, recipes, gates, raw windows, records and hashes."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.compare import Section
from results.gates import GATES, evaluate, lost_by, tokens_per_second
from results.record import RunRecord
from results.store import record_path
from results.summary import CaseSummary

Facts = Mapping[str, object]
FEWEST_SIDES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a table whose columns are the cases."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the cases do not agree."""
        return len(set(self.values)) >= FEWEST_SIDES


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One gate over the runs of one case."""

    case: str
    gate: str
    required: bool
    outcome: str
    """pass, fail or unknown; the worst of the runs."""
    runs: str
    evidence: str
    """Of the first run with that outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One record, with its raw windows."""

    case: str
    file: str
    """Name under which a record of this place is kept."""
    run_id: str
    sha256: str
    created_at: str
    role: str
    status: str
    tokens_per_second: float | None
    step_milliseconds: tuple[float, ...]
    """Of each window."""


def environment_facts(section: Section) -> tuple[Fact, ...]:
    """Machine and software of each case's first run."""
    return _side_by_side([_flat(_environment(case.summary.first)) for case in section.cases])


def recipe_facts(section: Section) -> tuple[Fact, ...]:
    """How each case ran the same mathematics, and what its session said of itself."""
    return _side_by_side([_flat(_recipe(case.summary.first)) for case in section.cases])


def judged_gates(section: Section) -> tuple[Judged, ...]:
    """Every gate of every case, judged now."""
    return tuple(gate for case in section.cases for gate in _gates(case.summary))


def runs(section: Section) -> tuple[Run, ...]:
    """Every record of the section."""
    return tuple(_run(case.summary.label, record) for case in section.cases for record in case.summary.records)


def _environment(record: RunRecord) -> Facts:
    return record.environment.model_dump(exclude={"boot_id"})


def _recipe(record: RunRecord) -> Facts:
    session = record.measurement.session if record.measurement else {}
    devices = {"devices": record.case.world_size, "devices a chip": record.case.devices_per_chip}
    return {**record.case.recipe, **devices, "session": session}


def _flat(facts: Facts, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}: ")
        else:
            yield prefix + name, value if isinstance(value, str) else json.dumps(value, default=str)


def _side_by_side(sides: Sequence[Iterator[tuple[str, str]]]) -> tuple[Fact, ...]:
    columns = [dict(side) for side in sides]
    names = dict.fromkeys(name for column in columns for name in column)
    return tuple(Fact(name=name, values=tuple(column.get(name, "–") for column in columns)) for name in names)


def _gates(summary: CaseSummary) -> Iterator[Judged]:
    judged = [gate for record in summary.records for gate in evaluate(record)]
    for name, counts in summary.gate_counts.items():
        worst = next(outcome for outcome in ("fail", "unknown", "pass") if outcome in counts)
        evidence = next(gate.evidence for gate in judged if (gate.id, gate.outcome) == (name, worst))
        told = ", ".join(f"{outcome} in {count}" for outcome, count in sorted(counts.items()))
        yield Judged(
            case=summary.label, gate=name, required=GATES[name][0], outcome=worst, runs=told, evidence=evidence
        )


def _run(case: str, record: RunRecord) -> Run:
    windows = record.measurement.windows if record.measurement else ()
    return Run(
        case=case,
        file=record_path(record, Path()).name,
        run_id=record.run_id,
        sha256=hashlib.sha256((record.model_dump_json(indent=1) + "\n").encode()).hexdigest(),
        created_at=record.created_at,
        role=record.place.role,
        status=_ended(record),
        tokens_per_second=tokens_per_second(record) if windows else None,
        step_milliseconds=tuple(window.seconds / window.steps * 1e3 for window in windows),
    )


def _ended(record: RunRecord) -> str:
    lost = [gate.id for gate in lost_by(record)]
    ended = record.status if record.status == "ok" else f"{record.status}: {record.reason}"
    return f"{ended}, lost its rank by {', '.join(lost)}" if lost else ended
