"""The figures of one record of neuron-monitor. Source of names and units: neuron-monitor User Guide.

A record also holds process ids, commands' tags and the instance's identifiers: only the numbers named here leave it.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping

Figures = dict[str, float | None]
Cores = Mapping[int, tuple[float | None, float | None]]
"""Utilisation in percent and floating-point operations per second, by number of the logical core in the machine."""


def figures_of(line: bytes) -> Figures | None:
    """What one record tells of its period; None if the line is no record. Never raises.

    Sums and means over all runtimes that could be read; None where none of them tells.

    - ``period_seconds``: the real length of the period.
    - ``runtimes``, ``runtimes_unreadable``: processes on the devices; those that the tool could not read are
      missing from every figure here.
    - ``neuroncores_in_use``: logical cores.
    - ``neuroncore_utilization_percent_mean``: over the logical cores in use, 0 to 100. A core counts as used while it
      executes anything: "busy", not the utilisation of its arithmetic (MFU), which may be less than half of it.
    - ``flop_per_second``: as the device counts, over all cores in use.
    - ``device_memory_bytes``: device memory of the runtimes, with programs and scratchpad.
    - ``executions_completed``, ``execution_errors``: in this period, not since the start.
    - ``ecc_corrected_events``, ``ecc_uncorrected_events``: device memory and on-chip memory, all chips, as the
      driver counts.
    - ``chip_N_...``: the mean and the sum of one chip's cores, for each chip with a core in use.
    """
    record = _loaded(line)
    if not isinstance(record, dict) or not {"neuron_runtime_data", "system_data"} & record.keys():
        return None
    runtimes = _tables(record.get("neuron_runtime_data"))
    reports = [_table(runtime, "report") for runtime in runtimes if not runtime.get("error")]
    cores = _cores(reports)
    return {
        "period_seconds": _period(reports, _table(record, "system_data")),
        "runtimes": float(len(runtimes)),
        "runtimes_unreadable": float(len(runtimes) - len(reports)),
        **_of_cores("", cores),
        **_of_runtimes(reports),
        **_ecc(_table(record, "system_data", "neuron_hw_counters")),
        **_of_chips(cores, _number(_table(record, "neuron_hardware_info").get("neuroncore_per_device_count"))),
    }


def _loaded(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _period(reports: Iterable[Mapping[str, object]], system: Mapping[str, object]) -> float | None:
    """Seconds; of the counters, else of the hardware's counters, which are there without a runtime."""
    groups = [_table(report, "neuroncore_counters") for report in reports] + [_table(system, "neuron_hw_counters")]
    return next((period for group in groups if (period := _number(group.get("period"))) is not None), None)


def _cores(reports: Iterable[Mapping[str, object]]) -> Cores:
    """What all runtimes together do on each core."""
    found: dict[int, list[tuple[float | None, float | None]]] = {}
    for report in reports:
        for index, told in _table(report, "neuroncore_counters", "neuroncores_in_use").items():
            if isinstance(told, dict) and index.isdecimal() and len(index) < 6:
                found.setdefault(int(index), []).append((_utilization(told), _flops(told)))
    return {core: (_sum(busy for busy, _ in told), _sum(flops for _, flops in told)) for core, told in found.items()}


def _flops(core: Mapping[str, object]) -> float | None:
    """Floating-point operations per second: ``flops``, or ``effective_flops`` in releases seen on trn1 and inf2."""
    documented = _number(core.get("flops"))
    return documented if documented is not None else _number(core.get("effective_flops"))


def _utilization(core: Mapping[str, object]) -> float | None:
    """Percent. At LNC=2 ``v3d`` repeats it for the physical cores: part of the same figure, never added to it."""
    own = _number(core.get("neuroncore_utilization"))
    parts = [_number(part.get("neuroncore_utilization")) for part in _tables(list(_table(core, "v3d").values()))]
    return own if own is not None else _mean(parts)


def _of_cores(prefix: str, cores: Cores) -> Figures:
    return {
        f"{prefix}neuroncores_in_use": float(len(cores)),
        f"{prefix}neuroncore_utilization_percent_mean": _mean(busy for busy, _ in cores.values()),
        f"{prefix}flop_per_second": _sum(flops for _, flops in cores.values()),
    }


def _of_chips(cores: Cores, per_chip: float | None) -> Figures:
    """Logical cores are numbered through the machine, chip after chip."""
    if not per_chip or per_chip < 1:
        return {}
    numbers = sorted({core // int(per_chip) for core in cores})
    chips = ({core: told for core, told in cores.items() if core // int(per_chip) == chip} for chip in numbers)
    return {
        name: value
        for number, own in zip(numbers, chips, strict=True)
        for name, value in _of_cores(f"chip_{number}_", own).items()
    }


def _of_runtimes(reports: Iterable[Mapping[str, object]]) -> Figures:
    memory = [_table(report, "memory_used", "neuron_runtime_used_bytes") for report in reports]
    runs = [_table(report, "execution_stats") for report in reports]
    return {
        "device_memory_bytes": _sum(_number(used.get("neuron_device")) for used in memory),
        "executions_completed": _sum(_number(_table(run, "execution_summary").get("completed")) for run in runs),
        "execution_errors": _sum(_number(count) for run in runs for count in _table(run, "error_summary").values()),
    }


def _ecc(counters: Mapping[str, object]) -> Figures:
    devices = _tables(counters.get("neuron_devices"))
    return {
        f"ecc_{kind}_events": _sum(
            _number(device.get(f"{memory}_ecc_{kind}")) for device in devices for memory in ("mem", "sram")
        )
        for kind in ("corrected", "uncorrected")
    }


def _table(owner: Mapping[str, object], *names: str) -> Mapping[str, object]:
    """The object at the end of a path; empty where it is missing, null, or its group tells an error."""
    for name in names:
        found = owner.get(name)
        if not isinstance(found, dict) or found.get("error"):
            return {}
        owner = found
    return owner


def _tables(value: object) -> list[dict[str, object]]:
    """The objects in an array; none where it is missing or null, as the tool writes an empty one."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    """A finite number of at least 0; JSON's true is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) and value >= 0 else None
    except OverflowError:
        return None


def _known(values: Iterable[float | None]) -> Iterator[float]:
    return (value for value in values if value is not None)


def _sum(values: Iterable[float | None]) -> float | None:
    found = list(_known(values))
    return sum(found) if found else None


def _mean(values: Iterable[float | None]) -> float | None:
    found = list(_known(values))
    return sum(found) / len(found) if found else None
