"""Energy of a run's windows from the readings of another process: measured, or unavailable and why. Never estimated.

Where the vendor tells no joules (Trainium: a percentage of a maximum that AWS does not publish), none are made up.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from results.record import DeviceSample, RunRecord

LONGEST_GAP_SECONDS = 2.5
"""Between two readings around an edge of a window: power may change meanwhile, and nobody saw it."""

Reading = tuple[float, float]
"""Unix seconds, joules since some beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What the devices that a run used have consumed in its windows."""

    status: Literal["measured", "unavailable"]
    reason: str = ""
    """Why unavailable; empty if measured."""
    joules_per_token: float | None = None
    watts: float | None = None
    """Mean over the windows, of all devices used together."""
    source: str = ""
    """The meters, for example "nvml-0"."""


def energy_of_windows(record: RunRecord) -> Energy:
    """Of the devices alone: neither the rest of the machine, nor its cooling, nor idle devices beside them."""
    measured = record.measurement
    if measured is None or not measured.windows:
        return Energy(status="unavailable", reason="no timed run")
    meters = _meters(record)
    expected = 1 if record.case.device_type == "cpu" else record.case.world_size
    if len(meters) < expected:
        return Energy(status="unavailable", reason=_why_none(record.device_samples))
    if any(sample.values.get("sliced") for sample in record.device_samples):
        return Energy(status="unavailable", reason="a slice of a card has no counter of its own")
    origin = measured.origin_unix_seconds
    spans = [(origin + w.start_seconds, origin + w.start_seconds + w.seconds) for w in measured.windows]
    joules = 0.0
    for name, readings in meters.items():
        taken = [_taken(readings, start, end) for start, end in spans]
        if None in taken:
            return Energy(status="unavailable", reason=f"{name} was not read at both ends of every window")
        if any(after < before for (_, before), (_, after) in pairwise(readings)):
            return Energy(status="unavailable", reason=f"the counter of {name} went back")
        joules += sum(part for part in taken if part is not None)
    if joules <= 0:
        return Energy(status="unavailable", reason=f"the counter of {', '.join(meters)} does not move")
    return Energy(
        status="measured",
        joules_per_token=joules / sum(window.tokens for window in measured.windows),
        watts=joules / sum(window.seconds for window in measured.windows),
        source=", ".join(meters),
    )


def _meters(record: RunRecord) -> dict[str, list[Reading]]:
    """The readings of each counter that belongs to a device of the run, by sampler, oldest first."""
    meters: dict[str, list[Reading]] = {}
    for sample in sorted(record.device_samples, key=lambda sample: sample.unix_seconds):
        index, joules = sample.values.get("device_index", 0), sample.values.get("energy_joules")
        if isinstance(joules, int | float) and isinstance(index, int | float) and index < record.case.world_size:
            meters.setdefault(sample.sampler, []).append((sample.unix_seconds, float(joules)))
    return meters


def _taken(readings: Sequence[Reading], start: float, end: float) -> float | None:
    """Joules between two moments; None if the counter was not read around one of them."""
    before, after = _at(readings, start), _at(readings, end)
    return None if before is None or after is None else after - before


def _at(readings: Sequence[Reading], moment: float) -> float | None:
    """The counter at a moment, on a line between the readings before and after it."""
    number = bisect_left(readings, moment, key=lambda reading: reading[0])
    if not 0 < number < len(readings):
        return None
    (earlier, low), (later, high) = readings[number - 1], readings[number]
    if later - earlier > LONGEST_GAP_SECONDS:
        return None
    return low + (high - low) * (moment - earlier) / (later - earlier)


def _why_none(samples: Iterable[DeviceSample]) -> str:
    """What a sampler says of it, else that there is none."""
    for sample in samples:
        told = [part for part in str(sample.values.get("missing") or "").split("; ") if part]
        of_energy = [part for part in told if part.startswith("energy_joules: ")]
        if told:
            return (of_energy or told)[0].removeprefix("energy_joules: ")
        if "power_percent_of_maximum_average" in sample.values:
            return "the chip tells its power as a percentage of an unpublished maximum alone"
    return "nothing here tells a device's energy"
