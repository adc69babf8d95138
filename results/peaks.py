"""Datasheet peaks of accelerators: the denominator of utilisation.

Dense figures only: a vendor's figure "with sparsity" is twice what a dense matrix product can reach.
A device is found by the exact name that its driver reports. An unknown device has no peak, and says why:
a guess by part of a name would give an H200 NVL or a MIG slice the peak of another chip.
Source of each row: its ``source`` cell in ``data/accelerators.csv``.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from results.tables import DATA_DIRECTORY, Row, read_rows

Dtype = Literal["fp32", "tf32", "bf16", "fp8"]

COLUMNS = (
    "name",
    "vendor",
    "match",
    "fp32_tflops",
    "tf32_tflops",
    "bf16_tflops",
    "fp8_tflops",
    "memory_gb",
    "memory_gbps",
    "tdp_watts",
    "note",
    "source",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """One chip's data sheet: per chip, dense. None: not found, or there is no such unit; ``note`` says which.

    Attributes:
        name: our name, also accepted as a device name.
        vendor: who makes it.
        match: exact device names that the vendor's driver reports for it.
        fp32_tflops: peak of fp32 matrix products without tf32, 1e12 operations per second.
        tf32_tflops: the same in tf32.
        bf16_tflops: the same with bf16 operands.
        fp8_tflops: the same with fp8 operands.
        memory_gb: device memory, 1e9 bytes.
        memory_gbps: bandwidth of that memory, 1e9 bytes per second.
        tdp_watts: the vendor's power rating, W.
        note: traps, conflicts between sources, why a figure is missing.
        source: where the row comes from.
    """

    name: str
    vendor: str
    match: tuple[str, ...]
    fp32_tflops: float | None
    tf32_tflops: float | None
    bf16_tflops: float | None
    fp8_tflops: float | None
    memory_gb: float | None
    memory_gbps: float | None
    tdp_watts: float | None
    note: str
    source: str

    def tflops(self, dtype: Dtype) -> float | None:
        """The dense peak in this dtype, 1e12 operations per second."""
        peaks = {
            "fp32": self.fp32_tflops,
            "tf32": self.tf32_tflops,
            "bf16": self.bf16_tflops,
            "fp8": self.fp8_tflops,
        }
        return peaks[dtype]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A data sheet's peak of one chip, in operations per second; a multiply-add counts as two."""

    flops_per_second: float
    dtype: Dtype
    device: str
    source: str
    dense: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPeak:
    """There is no peak to divide by, and why."""

    device: str
    dtype: Dtype
    reason: str


def load_accelerators(path: Path | None = None) -> tuple[Accelerator, ...]:
    """Read a table of accelerators; without a path, the shipped one.

    Raises:
        PriceError: a row does not fit, or two rows claim one device name; names file and line.
    """
    path = path or DATA_DIRECTORY / "accelerators.csv"
    accelerators: list[Accelerator] = []
    claimed: set[str] = set()
    for row in read_rows(path, COLUMNS):
        accelerator = _accelerator(row)
        names = _device_names(accelerator)
        if names & claimed:
            raise row.error(f"{min(names & claimed)!r} has a row already", "a device name belongs to one row")
        claimed |= names
        accelerators.append(accelerator)
    return tuple(accelerators)


def peak_flops(device_name: str, dtype: Dtype) -> Peak | MissingPeak:
    """The dense data-sheet peak of the chip that the driver calls ``device_name``, letter case aside.

    The figure is per chip. A Neuron core, or half of a TPU chip, is less than a chip: the caller divides.
    """
    accelerator = _shipped_by_device_name().get(device_name.strip().casefold())
    if accelerator is None:
        reason = f"no peak of {device_name!r} is known: the table has accelerators by exact name, and no CPU"
        return MissingPeak(device=device_name, dtype=dtype, reason=reason)
    tflops = accelerator.tflops(dtype)
    if tflops is None:
        reason = f"no dense {dtype} peak of {accelerator.name} is known: {accelerator.note}"
        return MissingPeak(device=accelerator.name, dtype=dtype, reason=reason)
    return Peak(flops_per_second=tflops * 1e12, dtype=dtype, device=accelerator.name, source=accelerator.source)


@cache
def _shipped_by_device_name() -> dict[str, Accelerator]:
    return {name: accelerator for accelerator in load_accelerators() for name in _device_names(accelerator)}


def _device_names(accelerator: Accelerator) -> set[str]:
    return {name.casefold() for name in (accelerator.name, *accelerator.match)}


def _accelerator(row: Row) -> Accelerator:
    accelerator = Accelerator(
        name=row.required("name"),
        vendor=row.required("vendor"),
        match=tuple(name.strip() for name in row.text("match").split("|") if name.strip()),
        fp32_tflops=row.positive("fp32_tflops"),
        tf32_tflops=row.positive("tf32_tflops"),
        bf16_tflops=row.positive("bf16_tflops"),
        fp8_tflops=row.positive("fp8_tflops"),
        memory_gb=row.positive("memory_gb"),
        memory_gbps=row.positive("memory_gbps"),
        tdp_watts=row.positive("tdp_watts"),
        note=row.text("note"),
        source=row.required("source"),
    )
    peaks = (
        accelerator.fp32_tflops,
        accelerator.tf32_tflops,
        accelerator.bf16_tflops,
        accelerator.fp8_tflops,
    )
    if None in peaks and not accelerator.note:
        raise row.error("a peak is empty and note does not say why", "say in note why a peak is missing")
    return accelerator
