"""Checks what tools tell of a Neuron chip against what AWS publishes of it: logical cores and memory.

Sources: AWS's pages Trainium, Trainium2, Trainium3 and "Logical NeuronCore configuration". Every function adds to
``conflicts`` what it does not believe, and why.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from backends.neuron.listing import Listing

GIB = 2**30
MEMORY_TOLERANCE = 0.05
"""A figure of memory further from the data sheet than this fraction is not believed."""
Value = TypeVar("Value", int, str)
CONFIG_VARIABLES = ("NEURON_LOGICAL_NC_CONFIG", "NEURON_RT_VIRTUAL_CORE_SIZE")
"""The runtime's variable for the logical core configuration, and its older name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSheet:
    """What AWS publishes of a chip and a tool's word is checked against."""

    physical_cores: int
    memory_bytes: int
    core_configs: tuple[int, ...]
    """Physical cores that a logical core may have; empty where the chip has no logical cores."""
    default_core_config: int | None
    """None: AWS does not state it."""


def data_sheet(chip: str | None) -> DataSheet | None:
    """The chip's, by its name in ``results/data/accelerators.csv``; None for a chip that we do not know."""
    return {
        "Trainium1": DataSheet(physical_cores=2, memory_bytes=32 * GIB, core_configs=(), default_core_config=None),
        "Trainium2": DataSheet(physical_cores=8, memory_bytes=96 * GIB, core_configs=(1, 2), default_core_config=2),
        "Trainium3": DataSheet(physical_cores=8, memory_bytes=144 * GIB, core_configs=(1, 2), default_core_config=None),
    }.get(chip or "")


def core_config(sheet: DataSheet | None, listing: Listing, conflicts: list[str]) -> tuple[int | None, str | None]:
    """Physical cores per logical core, and who says so."""
    if sheet is None or not sheet.core_configs:
        return None, None
    told, asked = _told_config(sheet, listing, conflicts), _asked_config(sheet, conflicts)
    if told and asked and told != asked[0]:
        conflicts.append(f"{asked[1]} asks for {asked[0]} physical cores per logical core, neuron-ls tells {told}")
    if told:
        return told, "neuron-ls"
    return asked or (sheet.default_core_config, "assumed" if sheet.default_core_config else None)


def _told_config(sheet: DataSheet, listing: Listing, conflicts: list[str]) -> int | None:
    """neuron-ls's word, or what follows from its number of logical cores."""
    chips = listing.chips.values()
    told = agreed("logical core configurations", (chip.core_config for chip in chips), conflicts)
    if told is None:
        cores = agreed("numbers of cores", (chip.logical_cores for chip in chips), [])
        told = sheet.physical_cores // cores if cores and sheet.physical_cores % cores == 0 else None
    elif told not in sheet.core_configs:
        conflicts.append(f"neuron-ls tells {told} physical cores per logical core, which the chip cannot have")
    return told if told in sheet.core_configs else None


def _asked_config(sheet: DataSheet, conflicts: list[str]) -> tuple[int, str] | None:
    """What the environment asks the runtime for, and by which variable."""
    for variable in CONFIG_VARIABLES:
        value = os.environ.get(variable, "").strip()
        if value in map(str, sheet.core_configs):
            return int(value), variable
        if value:
            conflicts.append(f"{variable} is set to what is no logical core configuration")
    return None


def logical_cores(sheet: DataSheet | None, config: int | None, listing: Listing, conflicts: list[str]) -> int | None:
    """Per chip. A number that contradicts the chip and its configuration is not believed."""
    told = agreed("numbers of cores", (chip.logical_cores for chip in listing.chips.values()), conflicts)
    if sheet is None:
        return told
    if sheet.core_configs and config is None:
        return None
    cores = sheet.physical_cores // (config or 1)
    if told not in (None, cores):
        conflicts.append(f"neuron-ls tells {told} cores per chip, the data sheet and the configuration {cores}")
    return cores


def chip_memory(sheet: DataSheet | None, listing: Listing, conflicts: list[str]) -> tuple[int | None, str | None]:
    """Bytes per chip, and who says so.

    EC2's DescribeInstanceTypes reports 512 GiB for a Trainium2 chip, which has 96: a tool may come to repeat it.
    """
    told = agreed("sizes of memory", (chip.memory_bytes for chip in listing.chips.values()), conflicts)
    if sheet is None:
        return told, "neuron-ls" if told else None
    if told is None:
        return sheet.memory_bytes, "data sheet"
    if abs(told - sheet.memory_bytes) <= MEMORY_TOLERANCE * sheet.memory_bytes:
        return told, "neuron-ls"
    conflicts.append(f"neuron-ls tells {told} bytes of memory per chip, the data sheet {sheet.memory_bytes}")
    return sheet.memory_bytes, "data sheet"


def agreed(what: str, values: Iterable[Value | None], conflicts: list[str]) -> Value | None:
    """The one value that all chips have, as far as they tell; None, and a conflict, where they differ."""
    found = sorted({value for value in values if value is not None})
    if len(found) > 1:
        conflicts.append(f"{what} differ between the chips: {', '.join(map(str, found))}")
    return found[0] if len(found) == 1 else None
