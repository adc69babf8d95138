"""From the runs of one case to one row: throughput with its interval, step time, start-up, memory, utilisation."""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from results.device_notes import device_notes
from results.energy import Energy, energy_of_windows
from results.gates import (
    achieved_flops,
    evaluate,
    is_ranked,
    lost_by,
    tokens_per_second,
    waits_for_parity,
)
from results.mean import mean_of
from results.parity import Envelope, envelope
from results.peaks import MissingPeak, peak_flops
from results.record import HEADLINE_CONVENTION, Gate, RunRecord
from results.stats import Interval, host_mean_interval, mean_interval, stands_for_hosts

Round = tuple[tuple[str, str, str], int]
"""The suite on one boot of one host, and the round: what runs must share to have taken turns."""


class Turn(NamedTuple):
    """One run, as far as a ratio needs it."""

    round: Round
    log: float
    """Of tokens per second."""
    planned: bool
    """By a pilot, whose spread decided that it be made."""


Judged = tuple[RunRecord, Sequence[Gate]]
"""A run and its gates, evaluated once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utilisation:
    """Achieved over peak FLOP/s under the headline convention, or None and why."""

    fraction: float | None
    basis: str
    of_achievable: float | None = None
    """The same over what matrix products alone reached on a device of the run; None where nobody probed."""


@dataclass(frozen=True, kw_only=True)
class CaseSummary:
    """One case: the same workload, backend, recipe and host, or hosts of one type; all its runs."""

    label: str
    """Unique among the cases of one comparison."""
    records: tuple[RunRecord, ...]
    ranked: tuple[RunRecord, ...] = field(repr=False)
    """Timed runs that passed every required gate, parity by reference or by another case's trajectory."""
    throughput: Interval | None
    """Tokens per second of everything the run used; None without a ranked run."""
    unranked_tokens_per_second: float | None
    """Shown where no run is ranked but some were timed: a number without a rank."""
    step_seconds: float | None
    cold_start_seconds: float | None
    warm_start_seconds: float | None
    """Median seconds from opening the session to the first finished step."""
    peak_memory_bytes: int | None
    utilisation: Utilisation
    energy: Energy
    problems: tuple[str, ...]
    """Why runs failed or lost their rank, and which advisory gates did not pass."""
    gate_counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Gate -> how many runs passed it, failed it, or could not tell; judged now."""

    @property
    def first(self) -> RunRecord:
        """Any record of the case: workload, backend, recipe, kind of machine and packages are the same in all."""
        return self.records[0]

    # Kept, because a baseline is held against many cases:

    @cached_property
    def turns(self) -> dict[Round, Turn]:
        """The statistics of the ranked runs, by the round in which they were made."""
        return {turn.round: turn for turn in map(turn_of, self.ranked)}

    @cached_property
    def logs_by_host(self) -> dict[tuple[str, ...], list[float]]:
        """Machine -> the statistics of its ranked runs."""
        return logs_by_host(self.ranked)

    @cached_property
    def envelope(self) -> Envelope:
        """Between which losses the ranked runs lie, step by step."""
        return envelope(self.ranked)


def summarise(label: str, records: Sequence[RunRecord], *, parity_confirmed: bool = False) -> CaseSummary:
    """The summary of one case's records, in any order.

    ``parity_confirmed``: another case's trajectory agrees, where there is no reference to hold against.
    """
    ordered = tuple(sorted(records, key=lambda record: (record.created_at, record.run_id)))
    judged = [(record, evaluate(record)) for record in ordered]
    timed = [record for record in ordered if record.measurement and record.measurement.windows]
    ranked = tuple(one for one, gates in judged if is_ranked(one, gates, parity_confirmed=parity_confirmed))
    shown = ranked or timed
    return CaseSummary(
        label=label,
        records=ordered,
        ranked=ranked,
        throughput=throughput_interval(ranked) if ranked else None,
        unranked_tokens_per_second=_geometric_mean(map(tokens_per_second, timed)) if timed and not ranked else None,
        step_seconds=_geometric_mean(map(_step_seconds, shown)) if shown else None,
        cold_start_seconds=_start_up(ordered, "cold"),
        warm_start_seconds=_start_up(ordered, "warm"),
        peak_memory_bytes=_peak_memory(shown),
        utilisation=_utilisation(shown),
        energy=_energy(shown),
        problems=(
            *_problems(judged, parity_confirmed),
            *_hosts_note(ranked),
            *_devices_note(shown),
            *device_notes(shown),
        ),
        gate_counts=_counted(judged),
    )


def _counted(judged: Iterable[Judged]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for gate in (gate for _, gates in judged for gate in gates):
        counts.setdefault(gate.id, Counter())[gate.outcome] += 1
    return counts


def case_key(record: RunRecord) -> tuple[str, ...]:
    """Runs with equal keys belong to one case: same work, recipe, packages, fairchip and variables, on like machines.

    Hosts of one rented type make one case, since it is the type that a buyer chooses. Of a machine without a known
    type nobody knows which others are like it: it stays a case of its own.
    """
    environment = record.environment
    return (
        record.case.digest,
        record.case.backend,
        json.dumps(record.case.recipe, sort_keys=True),
        str(record.case.world_size),
        *(machine_kind(record) if environment.instance.name else machine_key(record)),
        environment.python,
        environment.packages_sha256,
        environment.source_sha256,
        json.dumps(environment.variables, sort_keys=True),
        record.provenance,
    )


def machine_key(record: RunRecord) -> tuple[str, ...]:
    """Runs with equal keys were made by one machine: the identifier alone survives a resize and a cloned disk."""
    return (record.environment.host_id, *machine_kind(record))


def machine_kind(record: RunRecord) -> tuple[str, ...]:
    """What hosts of one type have in common."""
    environment = record.environment
    return (
        str(environment.instance.name),
        environment.cpu_model,
        str(environment.logical_cpus),
        str(environment.memory_bytes // 2**30),
        str(environment.accelerator_driver),
    )


def machines(records: Iterable[RunRecord]) -> set[tuple[str, ...]]:
    """The machines that made these runs."""
    return {machine_key(record) for record in records}


def logs_by_host(records: Iterable[RunRecord]) -> dict[tuple[str, ...], list[float]]:
    """Machine -> the statistics of its runs."""
    hosts: dict[tuple[str, ...], list[float]] = {}
    for record in records:
        hosts.setdefault(machine_key(record), []).append(log_throughput(record))
    return hosts


def throughput_interval(ranked: Sequence[RunRecord]) -> Interval:
    """Tokens per second of the runs of one case: of its machine, or of the type where several hosts ran it."""
    hosts = [*logs_by_host(ranked).values()]
    if stands_for_hosts(hosts):
        return host_mean_interval(hosts)
    ordered, pilot = pilot_first(map(turn_of, ranked))
    return mean_interval([turn.log for turn in ordered], pilot)


def turn_of(record: RunRecord) -> Turn:
    """A run's statistic and its place."""
    environment, place = record.environment, record.place
    sitting = place.suite_id, environment.host_id, environment.boot_id
    return Turn((sitting, place.round), log_throughput(record), _was_planned_by_a_pilot(record))


def pilot_first(turns: Iterable[Turn]) -> tuple[list[Turn], int | None]:
    """The runs, those first whose number was declared, and how many these are; None if no pilot decided on others."""
    ordered = sorted(turns, key=lambda turn: turn.planned)
    planned = sum(turn.planned for turn in ordered)
    return ordered, len(ordered) - planned if planned else None


def is_of_pilot(record: RunRecord) -> bool:
    """Whether the run is one whose number was declared."""
    return not _was_planned_by_a_pilot(record)


def _was_planned_by_a_pilot(record: RunRecord) -> bool:
    return record.place.pilot_runs is not None and record.place.round >= record.place.pilot_runs


def took_seconds(record: RunRecord) -> float:
    """Machine time of a run; of a record that does not say, the least that it can have been."""
    if record.wall_seconds is not None:
        return record.wall_seconds
    measured = record.measurement
    if measured is None:
        return 0.0
    last = (measured.windows or measured.warmup)[-1:]
    start_up = measured.start_up
    stepping = last[0].start_seconds + last[0].seconds if last else start_up.first_step_seconds
    return start_up.import_seconds + start_up.open_seconds + stepping


def log_throughput(record: RunRecord) -> float:
    """The run's statistic: log of total window tokens over total window seconds."""
    return math.log(tokens_per_second(record))


def _step_seconds(record: RunRecord) -> float:
    windows = record.measurement.windows if record.measurement else ()
    return sum(window.seconds for window in windows) / sum(window.steps for window in windows)


def _start_up(records: Sequence[RunRecord], cache: str) -> float | None:
    seconds = [
        start_up.open_seconds + start_up.first_step_seconds
        for record in records
        if record.measurement and (start_up := record.measurement.start_up).cache == cache
    ]
    return statistics.median(seconds) if seconds else None


def _peak_memory(records: Sequence[RunRecord]) -> int | None:
    peaks = [r.measurement.memory.peak_bytes for r in records if r.measurement and r.measurement.memory]
    return max(peaks) if peaks else None


def _utilisation(records: Sequence[RunRecord]) -> Utilisation:
    return replace(_of_data_sheet(records), of_achievable=_of_achievable(records))


def _of_achievable(records: Sequence[RunRecord]) -> float | None:
    """A processor is one device, whatever parts of it a run was divided into."""
    if not records or records[0].achievable is None:
        return None
    devices = 1 if records[0].case.device_type == "cpu" else records[0].case.world_size
    reached = _geometric_mean(map(achieved_flops, records))
    return reached / (records[0].achievable.product_flops_per_second * devices)


def _of_data_sheet(records: Sequence[RunRecord]) -> Utilisation:
    if not records or records[0].measurement is None:
        return Utilisation(fraction=None, basis="no timed run")
    case, measured = records[0].case, records[0].measurement
    if case.device_type == "cpu":
        return Utilisation(fraction=None, basis="no published peak for this CPU")
    if case.peak_dtype is None:
        return Utilisation(fraction=None, basis=f"no peak is defined for {case.precision}")
    peak = peak_flops(str(measured.session.get("device_name")), case.peak_dtype)
    if isinstance(peak, MissingPeak):
        return Utilisation(fraction=None, basis=peak.reason)
    achieved = _geometric_mean(map(achieved_flops, records)) / case.chips
    return Utilisation(
        fraction=achieved / peak.flops_per_second,
        basis=f"{HEADLINE_CONVENTION}, of {peak.flops_per_second / 1e12:g} TFLOP/s, dense {peak.dtype}, {peak.device}",
    )


def _energy(records: Sequence[RunRecord]) -> Energy:
    """The mean over the runs; unavailable if it is for one of them."""
    each = [energy_of_windows(record) for record in records]
    missing = next((energy for energy in each if energy.status != "measured"), None)
    if missing is not None or not each:
        return missing or Energy(status="unavailable", reason="no timed run")
    return Energy(
        status="measured",
        joules_per_token=mean_of([energy.joules_per_token or 0.0 for energy in each]),
        watts=mean_of([energy.watts or 0.0 for energy in each]),
        source=each[0].source,
    )


def _hosts_note(ranked: Sequence[RunRecord]) -> Iterable[str]:
    """How far the hosts of a case are apart, which its one row does not show."""
    means = [math.exp(statistics.fmean(logs)) for logs in logs_by_host(ranked).values()]
    if len(means) > 1:
        yield f"note: means of its {len(means)} hosts: {', '.join(f'{mean:,.0f}' for mean in sorted(means))} tokens/s"


def _devices_note(shown: Sequence[RunRecord]) -> Iterable[str]:
    """What one chip and one device of a job did: measured together, so this is a share and no separate measurement."""
    if not shown or shown[0].case.world_size == 1:
        return
    case, speed = shown[0].case, _geometric_mean(map(tokens_per_second, shown))
    chip = f"{speed / case.chips:,.0f} a chip, " if case.devices_per_chip > 1 and case.chips >= 1 else ""
    devices = f"{case.world_size} devices" + (f" ({case.chips:g} chips)" if case.devices_per_chip > 1 else "")
    yield f"note: tokens/s of {devices} together; {chip}{speed / case.world_size:,.0f} a device"


def _problems(judged: Iterable[Judged], parity_confirmed: bool) -> Iterable[str]:
    lines: Counter[str] = Counter()
    for record, gates in judged:
        lines.update(_problems_of(record, gates, parity_confirmed))
    return (line if count == 1 else f"{line} ({count} runs)" for line, count in lines.items())


def _problems_of(record: RunRecord, gates: Sequence[Gate], parity_confirmed: bool) -> Iterable[str]:
    if record.status != "ok":
        yield f"{record.status}: {record.reason}"
    for gate in lost_by(record, gates):
        if not (parity_confirmed and waits_for_parity(record, gate)):
            yield f"no rank: gate {gate.id} {'failed' if gate.outcome == 'fail' else 'cannot tell'}: {gate.evidence}"
    if [gate.outcome for gate in gates] != [gate.outcome for gate in record.gates]:
        yield "note: judged again; the gates stored with the run say otherwise"
    for gate in gates:
        if not gate.required and gate.outcome == "fail":
            yield f"note: gate {gate.id} failed"


def _geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))
