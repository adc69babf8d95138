"""Runs of machines that never were, with the noise that real ones show, as the cases that the shipped statistics read.

All effects add up on the log scale: the process that a run is, its correlated windows, what the machine does to every
run of a suite (drift), and its host. The two sides of a scenario are equally fast, so that the true ratio is 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from results.compare import throughput_ratio
from results.energy import Energy
from results.planning import runs_needed
from results.record import Environment, Instance, Measurement, Place, RunRecord
from results.summary import CaseSummary, Utilisation, throughput_interval

WINDOWS = 8
"""Windows of a run, as in the suite `cpu`."""
WINDOW_LAG = 0.7
"""Correlation of a window with the one before: 0.66 to 0.77 was measured from step to step on a CPU."""
DRIFT_LAG = 0.9
"""Correlation of the wandering part of a drift from one turn of a suite to the next."""
WANDER_SHARE = 0.2
"""Standard deviation of the wandering part of a drift, as a share of its linear part."""
CASES = 2
"""Cases of a suite, of which one turn each makes a round."""
WINDOW_TOKENS, WINDOW_SECONDS = 1024, 1.0
MOST_PLANNED = 40
"""Runs of a scenario with a target: where it takes more, the intervals are wider than was asked."""

Array = npt.NDArray[np.float64]
Claim = Literal["this machine", "these suites", "these machines", "their types", "its type"]
Says = Literal["verdict", "shown", "no"]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Two sides that cost the same, how they were measured, and what is claimed of them; deviations are relative."""

    setting: str
    claim: Claim
    says: Says = "verdict"
    """What the product does about the claim: gives a verdict, shows an interval, or does not make it."""
    process_sds: tuple[float, float]
    """Between processes, of each side; the windows of a run deviate from its mean by as much."""
    drift: float = 0.0
    """Linear change over a suite; a slow wandering of a fifth of it comes on top."""
    turns: bool = False
    """Whether the sides take turns in one suite; else each host has a suite of its own."""
    hosts: tuple[int, int] = (1, 1)
    same_machine: bool = True
    host_sd: float = 0.0
    runs_left: int | None = None
    """Of the second side's runs, where the others failed."""
    alone: bool = False
    """Whether the first side's tokens per second are all that is asked."""
    later_noise: float = 1.0
    """Of a scenario with a target: how many times as much the processes after the pilot deviate."""
    target: float | None = None
    """Half-width asked for: the runs are a pilot, which decides how many there are, at most `MOST_PLANNED`."""

    @property
    def beyond_the_suites(self) -> bool:
        """Whether the claim is about more than the machines as they were while they were measured."""
        return self.claim in ("their types", "its type")


def simulated_cases(
    scenario: Scenario, runs: int, replications: int, generator: np.random.Generator
) -> Iterator[tuple[CaseSummary, CaseSummary]]:
    """The two sides of each replication, with so many runs on each host, or with what a pilot of so many asks for."""
    most = runs if scenario.target is None else MOST_PLANNED
    for sides in _window_seconds(scenario, most, replications, generator, pilot=runs).tolist():
        needed = most if scenario.target is None else _planned(scenario, sides, runs)
        ours, theirs = (_case(scenario, side, hosts, needed, runs) for side, hosts in enumerate(sides))
        yield ours, theirs


def _planned(scenario: Scenario, sides: list[list[list[list[float]]]], pilot: int) -> int:
    """Runs that the target takes, as the product tells from the pilot."""
    ours, theirs = (_case(scenario, side, hosts, pilot, pilot) for side, hosts in enumerate(sides))
    known = throughput_interval(ours.ranked) if scenario.alone else throughput_ratio(ours, theirs)
    assert scenario.target is not None
    needed = runs_needed(known, scenario.target)
    assert needed is not None, "a pilot has enough runs for an interval"
    return min(needed, MOST_PLANNED)


def _window_seconds(
    scenario: Scenario, runs: int, replications: int, generator: np.random.Generator, pilot: int
) -> Array:
    """Seconds by replication, side, host, run and window."""
    shape = (replications, 2, max(scenario.hosts), runs)
    sds = np.array(scenario.process_sds)[:, None, None]
    levels = sds * generator.standard_normal(shape)
    levels[..., pilot:] *= scenario.later_noise
    levels += _drift(scenario, shape, generator)
    levels += scenario.host_sd * generator.standard_normal(shape[:-1])[..., None]
    sds = sds[..., None]
    noise = sds * _autoregression((*shape, WINDOWS), WINDOW_LAG, generator)
    # A lognormal's mean is above its median: taken off, so that a window takes WINDOW_SECONDS on the average.
    return np.asarray(WINDOW_SECONDS * np.exp(levels[..., None] + noise - sds**2 / 2))


def _drift(scenario: Scenario, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """What the turn of each run adds. The sides of one suite share its path and never a turn."""
    *suites, runs = shape
    suites[1] = 1 if scenario.turns else suites[1]
    slots = runs * CASES
    wander = WANDER_SHARE * _autoregression((*suites, slots), DRIFT_LAG, generator)
    if not scenario.beyond_the_suites:
        wander -= wander.mean(axis=-1, keepdims=True)
    path = scenario.drift * (wander + (np.arange(slots) + 0.5) / slots - 0.5)
    taken = np.arange(runs) * CASES + _order(scenario, shape, generator)
    return np.take_along_axis(np.broadcast_to(path, (*shape[:-1], slots)), taken, axis=-1)


def _order(scenario: Scenario, shape: tuple[int, ...], generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Each run's place in its round, as suites draw it: at random, and reversed in every second round."""
    order = generator.integers(0, CASES, shape)
    order[..., 1::2] = 1 - order[..., : shape[-1] // 2 * 2 : 2]
    if scenario.turns:
        order[:, 1] = 1 - order[:, 0]
    return order


def _autoregression(shape: tuple[int, ...], lag: float, generator: np.random.Generator) -> Array:
    """Stationary noise of deviation 1 along the last axis, where neighbours correlate by ``lag``."""
    noise = generator.standard_normal(shape)
    for place in range(1, shape[-1]):
        noise[..., place] = lag * noise[..., place - 1] + np.sqrt(1 - lag**2) * noise[..., place]
    return noise


def _case(scenario: Scenario, side: int, hosts: list[list[list[float]]], runs: int, pilot: int) -> CaseSummary:
    left = runs if scenario.runs_left is None or side == 0 else scenario.runs_left
    records = tuple(
        _record(
            suite_id=f"{host}" if scenario.turns else f"{host} of side {side}",
            host_id=f"{host}" if scenario.same_machine else f"{host} of side {side}",
            place=(round_, None if scenario.target is None else pilot),
            seconds=seconds,
        )
        for host, runs in enumerate(hosts[: scenario.hosts[side]])
        for round_, seconds in enumerate(runs[:left])
    )
    nothing: dict[str, Any] = dict.fromkeys(
        ("throughput", "unranked_tokens_per_second", "step_seconds", "cold_start_seconds", "warm_start_seconds")
    )
    return CaseSummary(
        label=f"side {side}",
        records=records,
        ranked=records,
        peak_memory_bytes=None,
        utilisation=Utilisation(fraction=None, basis="simulated"),
        energy=Energy(status="unavailable", reason="simulated"),
        problems=(),
        **nothing,
    )


def _record(*, suite_id: str, host_id: str, place: tuple[int, int | None], seconds: list[float]) -> RunRecord:
    windows = [_Window(second, WINDOW_TOKENS) for second in seconds]
    return _part(
        RunRecord,
        place=_place(suite_id, *place),
        environment=_environment(host_id),
        measurement=_part(Measurement, windows=windows),
    )


class _Window(NamedTuple):
    """As much of a window as statistics read, ten times as fast to make."""

    seconds: float
    tokens: int


@cache
def _place(suite_id: str, round_: int, pilot_runs: int | None) -> Place:
    return _part(Place, suite_id=suite_id, round=round_, pilot_runs=pilot_runs)


@cache
def _environment(host_id: str) -> Environment:
    machine = {"cpu_model": "", "logical_cpus": 1, "memory_bytes": 0, "accelerator_driver": None}
    return _part(Environment, host_id=host_id, boot_id="0", instance=_part(Instance, name="simulated"), **machine)


def _part(model: type[Model], **fields: Any) -> Model:
    """As much of a record as statistics read: not validated, and never saved."""
    return model.model_construct(**fields)
