"""What a reader must know of the devices of a run beyond their name: shared, sliced, capped, at their limit."""

from collections.abc import Iterable, Iterator, Sequence

from results.gates import in_windows
from results.record import DeviceSample, RunRecord


def device_notes(records: Sequence[RunRecord]) -> Iterator[str]:
    """Each once, over all timed runs of a case."""
    yield from _wider_products(records)
    yield from _unlike_products(records)
    samples = [
        sample
        for record in records
        if record.measurement and record.measurement.windows
        for sample in in_windows(record.device_samples, record.measurement)
    ]
    if any(_values(samples, "sliced")):
        yield "note: the device is a slice of a divided card (MIG): the whole card's peak is not its own"
    limits, defaults = set(_values(samples, "power_limit_watts")), set(_values(samples, "default_power_limit_watts"))
    if limits and defaults and limits != defaults:
        yield f"note: power limit {_watts(limits)}, where the card's own is {_watts(defaults)}"
    capped = _values(samples, "power_capped")
    if any(capped):
        share = sum(map(bool, capped)) / len(capped)
        yield f"note: the device's power limit ({_watts(limits)}) held its clock in {share:.0%} of the readings"


def _wider_products(records: Sequence[RunRecord]) -> Iterator[str]:
    """A recipe may keep more than the precision policy asks for, where that is faster."""
    mixed = [record.measurement for record in records if record.measurement and record.case.precision == "bf16-mixed"]
    if any(measured.session.get("operand_dtype") == "float32" for measured in mixed):
        yield "note: matrices were multiplied in float32, which keeps more than bf16-mixed asks for"


def _unlike_products(records: Sequence[RunRecord]) -> Iterator[str]:
    """Every session may choose anew, and two that are as quick may take turns."""
    for name, what in (("operand_dtype", "types"), ("product_kernel", "kernels")):
        told = [record.measurement.session.get(name) for record in records if record.measurement]
        found = sorted({str(value) for value in told if value is not None})
        if len(found) > 1:
            yield f"note: the runs multiplied matrices in different {what}, as each chose: {', '.join(found)}"


def _values(samples: Iterable[DeviceSample], name: str) -> list[float]:
    return [value for sample in samples if isinstance(value := sample.values.get(name), int | float)]


def _watts(values: Iterable[float]) -> str:
    return " and ".join(f"{value:g} W" for value in sorted(values)) or "unknown"
