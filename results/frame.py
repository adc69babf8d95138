"""Records as one tidy table, a row a run: for pandas, CSV and whatever a reader wants to do with them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from results.gates import lost_by, tokens_per_second
from results.plain_text import plain
from results.record import RunRecord


def run_frame(records: Sequence[RunRecord]) -> pd.DataFrame:
    """One row a run, in the order given; units are in the column names, and text is plain."""
    return pd.DataFrame([{name: _shown(value) for name, value in _row(record).items()} for record in records])


def _shown(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value


def _row(record: RunRecord) -> dict[str, Any]:
    measured, case = record.measurement, record.case
    timed = measured is not None and bool(measured.windows)
    return {
        "run_id": record.run_id,
        "created_at": record.created_at,
        "suite_id": record.place.suite_id,
        "round": record.place.round,
        "role": record.place.role,
        "runs_planned": record.place.runs_planned,
        "pilot_runs": record.place.pilot_runs,
        "workload": case.workload,
        "digest": case.digest,
        "precision": case.precision,
        "backend": case.backend,
        "recipe": case.recipe.get("name"),
        "host_id": record.environment.host_id,
        "instance": record.environment.instance.name,
        "provenance": record.provenance,
        "status": record.status,
        "reason": record.reason,
        "gates_lost": " ".join(gate.id for gate in lost_by(record)),
        "tokens_per_second": tokens_per_second(record) if timed else None,
        "windows": len(measured.windows) if measured else 0,
        "steps_per_window": measured.steps_per_window if measured else None,
        "cache": measured.start_up.cache if measured else None,
        "open_seconds": measured.start_up.open_seconds if measured else None,
        "first_step_seconds": measured.start_up.first_step_seconds if measured else None,
        "peak_memory_bytes": measured.memory.peak_bytes if measured and measured.memory else None,
        "wall_seconds": record.wall_seconds,
        "last_loss": measured.steps[-1].loss if measured and measured.steps else None,
    }
