"""The machines that one rents: what an instance holds.

Source of each row: its ``source`` cell in ``data/instances.csv``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from results.errors import PriceError
from results.names import did_you_mean
from results.tables import DATA_DIRECTORY, Row, read_rows

COLUMNS = ("instance", "provider", "accelerator", "accelerator_count", "vcpus", "memory_gib", "source")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One machine type of a cloud. None stands for "not known", never for zero.

    Attributes:
        name: the provider's name, such as ``trn2.48xlarge``.
        provider: ``aws``, ``gcp`` or ``azure``.
        accelerator: the chip, by its name in ``data/accelerators.csv`` if it is there; None: CPU only.
        accelerator_count: chips, not cores; 0 for a CPU machine.
        vcpus: virtual CPUs (hardware threads on most x86 machines, cores on Graviton).
        memory_gib: host memory, GiB.
        source: where the row comes from.
    """

    name: str
    provider: str
    accelerator: str | None
    accelerator_count: int | None
    vcpus: int | None
    memory_gib: float | None
    source: str


def load_instances(path: Path | None = None) -> tuple[Instance, ...]:
    """Read a table of instances; without a path, the shipped one, once in a process.

    Raises:
        PriceError: a row does not fit; names file and line.
    """
    return _shipped() if path is None else _read(path)


@cache
def _shipped() -> tuple[Instance, ...]:
    return _read(DATA_DIRECTORY / "instances.csv")


def _read(path: Path) -> tuple[Instance, ...]:
    instances: dict[str, Instance] = {}
    for row in read_rows(path, COLUMNS):
        instance = _instance(row)
        if instance.name in instances:
            raise row.error(f"a second row for {instance.name}", "an instance has one row")
        instances[instance.name] = instance
    return tuple(instances.values())


def find_instance(name: str, instances: Sequence[Instance] | None = None) -> Instance:
    """The instance of that exact name; without ``instances``, in the shipped table.

    Raises:
        PriceError: there is none; the hint names the closest.
    """
    known = {instance.name: instance for instance in (instances or load_instances())}
    if name in known:
        return known[name]
    raise PriceError(f"unknown instance {name!r}", did_you_mean(name, known))


def _instance(row: Row) -> Instance:
    accelerator = row.text("accelerator") or None
    count = row.count("accelerator_count")
    if (accelerator is None) != (count == 0):
        raise row.error("accelerator and accelerator_count disagree", "a CPU machine has no accelerator and count 0")
    return Instance(
        name=row.required("instance"),
        provider=row.required("provider"),
        accelerator=accelerator,
        accelerator_count=count,
        vcpus=row.count("vcpus"),
        memory_gib=row.positive("memory_gib"),
        source=row.required("source"),
    )
