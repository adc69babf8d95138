"""What our workers measured, in pytest-benchmark's words: it shows these times and takes none of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.host import accelerators
from results.compare import Section
from results.costs import PricedCase
from results.record import Environment, RunRecord
from results.render import shown_model

Scalar = str | int | float | None

SAME_MACHINE = ("cpu_model", "logical_cpus", "memory_gib", "instance", "accelerators")
"""Facts in which two machines that are compared may not differ; software and the host of a type may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one test shows."""

    extra_info: dict[str, Scalar]
    step_seconds: tuple[float, ...]
    """A window's mean each."""
    problem: str
    """Why a run failed or lost its rank; empty if all is well."""

    @property
    def rounds(self) -> int:
        """Windows."""
        return len(self.step_seconds)


class WindowClock:
    """A timer for `pytest.mark.benchmark(timer=...)` on which each round takes as long as a step of a window did."""

    __name__ = "step_seconds_of_windows"

    def __init__(self, step_seconds: Iterable[float]) -> None:
        self._readings = iter([reading for seconds in step_seconds for reading in (0.0, seconds)])

    def __call__(self) -> float:
        """The next reading, in seconds: 0 before a round, its duration after it."""
        return next(self._readings)


def replayed(case: PricedCase, section: Section, folder: Path) -> Measured:
    """A case's windows and facts, whose records are in a folder."""
    return Measured(
        extra_info=extra_info(case, section, folder),
        step_seconds=step_seconds(case.summary.records),
        problem="" if is_whole(case) else "; ".join(case.summary.problems),
    )


def step_seconds(records: Iterable[RunRecord]) -> tuple[float, ...]:
    """Mean seconds of an optimizer step in every window of the runs, oldest first."""
    windows = (window for record in records if record.measurement for window in record.measurement.windows)
    return tuple(window.seconds / window.steps for window in windows)


def extra_info(case: PricedCase, section: Section, folder: Path) -> dict[str, Scalar]:
    """Flat facts that stand beside the times, units in the names; None where unknown."""
    summary, speed = case.summary, case.summary.throughput
    model = shown_model(section)
    cost = case.costs.get(model or "")
    return {
        "status": "ranked" if is_whole(case) else "no rank",
        "workload_digest": section.digest,
        "runs": len(summary.ranked),
        "tokens_per_step": section.tokens_per_step,
        "tokens_per_second": speed.estimate if speed else summary.unranked_tokens_per_second,
        "tokens_per_second_low": speed.low if speed else None,
        "tokens_per_second_high": speed.high if speed else None,
        "usd_per_mtok": cost.usd_per_million_tokens if cost else None,
        "usd_per_hour": cost.price.usd_per_hour if cost else None,
        "purchase_model": model if cost else None,
        "price_as_of": cost.price.as_of.isoformat() if cost else None,
        "utilisation": summary.utilisation.fraction,
        "utilisation_basis": summary.utilisation.basis,
        "utilisation_of_achievable": summary.utilisation.of_achievable,
        "start_up_seconds": summary.cold_start_seconds or summary.warm_start_seconds,
        "peak_memory_bytes": summary.peak_memory_bytes,
        "joules_per_token": summary.energy.joules_per_token,
        "problems": "; ".join(summary.problems),
        "records": str(folder),
    }


def is_whole(case: PricedCase) -> bool:
    """Whether every run of the case ended well, and every timed one kept its rank."""
    records = case.summary.records
    timed = [record for record in records if record.place.role == "timed"]
    return len(case.summary.ranked) == len(timed) and all(record.status == "ok" for record in records)


def machine_facts(environment: Environment) -> dict[str, Any]:
    """What a saved benchmark says of its machine beside what pytest-benchmark does."""
    return {
        "host_id": environment.host_id,
        "cpu_model": environment.cpu_model,
        "logical_cpus": environment.logical_cpus,
        "memory_gib": environment.memory_bytes // 2**30,
        "instance": environment.instance.name,
        "region": environment.instance.region,
        "accelerators": accelerators(),
        "accelerator_driver": environment.accelerator_driver,
        "packages": environment.packages,
        "source_sha256": environment.source_sha256,
    }


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Sequence[str]:
    """In which facts two machines differ that no comparison survives; empty if they may be compared."""
    mine, other = ours.get("fairchip", {}), theirs.get("fairchip", {})
    return [
        f"{name} {other.get(name)} -> {mine.get(name)}" for name in SAME_MACHINE if mine.get(name) != other.get(name)
    ]
