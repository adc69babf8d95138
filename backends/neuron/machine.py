"""Which Neuron chips a machine has, and how they are set up: chips, logical cores, memory, versions.

Standard library only, no driver call, no identifier in the result: no serial number, PCI address, process or
instance id. Sources: Neuron Sysfs User Guide, neuron-ls User Guide.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backends.contract import Scalar
from backends.host import small_text
from backends.neuron.checks import agreed, chip_memory, core_config, data_sheet, logical_cores
from backends.neuron.listing import Listing, list_chips
from backends.neuron.tools import device_folder, device_numbers, find_tool


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronChip:
    """One chip: what the documentation calls a Neuron device."""

    number: int
    """N of ``/dev/neuronN``."""
    numa_node: int | None
    """None: the kernel knows none, or neuron-ls was not there to ask."""
    cpu_affinity: str | None
    """Processors near the chip, in the kernel's list format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronMachine:
    """The Neuron side of a machine; None wherever nothing reliable tells."""

    chip: str | None
    """The generation, by its name in ``results/data/accelerators.csv``; an unknown name as the driver has it."""
    chips: tuple[NeuronChip, ...]
    """By number."""
    instance_type: str | None
    """As sysfs has it: the family ("Trn2"), not EC2's full name."""
    logical_cores_per_chip: int | None
    logical_neuroncore_config: int | None
    """Physical cores per logical core (LNC); None also where the chip has no such thing."""
    logical_neuroncore_config_source: str | None
    """"neuron-ls", a variable's name, or "assumed": AWS's documented default, which nothing here confirmed."""
    memory_bytes_per_chip: int | None
    memory_source: str | None
    """"neuron-ls" or "data sheet"."""
    driver_version: str | None
    runtime_version: str | None
    collectives_version: str | None
    tools_version: str | None
    conflicts: tuple[str, ...]
    """What contradicts something else, or could not be read; whole sentences without identifiers."""

    @property
    def memory_bytes_per_logical_core(self) -> int | None:
        """An equal share of the chip's memory: 24 GiB at LNC=2 on Trainium2, which has 96 GiB for four such cores."""
        if self.memory_bytes_per_chip is None or not self.logical_cores_per_chip:
            return None
        return self.memory_bytes_per_chip // self.logical_cores_per_chip


def read_machine(root: Path = Path("/"), neuron_ls: Path | None = None) -> NeuronMachine | None:
    """Read the machine below ``root``; None where the kernel shows no Neuron device.

    Args:
        root: the root of the file system that is read.
        neuron_ls: the tool; by default the one on PATH, else AWS's below ``root``.

    Blocks for ten seconds at most, where neuron-ls hangs. Never raises for what the machine holds.
    """
    numbers = device_numbers(root)
    if not numbers:
        return None
    conflicts: list[str] = []
    listing = list_chips(neuron_ls or find_tool("neuron-ls", root))
    _compare_listing(listing, numbers, conflicts)
    chip = _generation(root, numbers, conflicts)
    sheet = data_sheet(chip)
    config, config_source = core_config(sheet, listing, conflicts)
    memory, memory_source = chip_memory(sheet, listing, conflicts)
    versions = _package_versions(root)
    return NeuronMachine(
        chip=chip,
        chips=tuple(_chip(number, listing) for number in numbers),
        instance_type=_word(device_folder(root, numbers[0]) / "info/architecture/instance_type"),
        logical_cores_per_chip=logical_cores(sheet, config, listing, conflicts),
        logical_neuroncore_config=config,
        logical_neuroncore_config_source=config_source,
        memory_bytes_per_chip=memory,
        memory_source=memory_source,
        driver_version=_word(root / "sys/module/neuron/version"),
        runtime_version=versions.get("aws-neuronx-runtime-lib"),
        collectives_version=versions.get("aws-neuronx-collectives"),
        tools_version=versions.get("aws-neuronx-tools"),
        conflicts=tuple(conflicts),
    )


def _compare_listing(listing: Listing, numbers: tuple[int, ...], conflicts: list[str]) -> None:
    if listing.note:
        conflicts.append(listing.note)
    elif listing.chips and set(listing.chips) != set(numbers):
        conflicts.append(f"neuron-ls lists {len(listing.chips)} devices, /dev has {len(numbers)} or others")


def _chip(number: int, listing: Listing) -> NeuronChip:
    listed = listing.chips.get(number)
    return NeuronChip(
        number=number,
        numa_node=listed.numa_node if listed else None,
        cpu_affinity=listed.cpu_affinity if listed else None,
    )


def _generation(root: Path, numbers: tuple[int, ...], conflicts: list[str]) -> str | None:
    """By ``device_name``, else by the instance type; never by ``arch_type``: "NDv3" is Trainium2 and Inferentia2.

    Source: the driver's v2/neuron_dhal_v2.c and v3/neuron_dhal_v3.c.
    """
    folders = [device_folder(root, number) / "info/architecture" for number in numbers]
    names = [_word(folder / "device_name") or _word(folder / "instance_type") for folder in folders]
    return agreed("names of the chips", (_own_name(name) for name in names if name), conflicts)


def _own_name(name: str) -> str:
    """Ours for a chip that the driver names by its generation or, in some releases, by its instance family."""
    known = {"trainium": "Trainium1", "trn1": "Trainium1", "trn2": "Trainium2", "trn3": "Trainium3"}
    known |= {f"trainium{generation}": f"Trainium{generation}" for generation in (1, 2, 3)}
    return known.get(name.lower(), name)


def _word(path: Path) -> str | None:
    """The first line of a small file, cut to what a name or a version may be; None where there is none."""
    lines = small_text(path).splitlines()
    return lines[0].strip()[:80] or None if lines else None


def _package_versions(root: Path) -> dict[str, str]:
    """Version of every installed package; empty where dpkg is not used. A removed package keeps its paragraph."""
    paragraphs = small_text(root / "var/lib/dpkg/status").split("\n\n")
    ours = (_fields(paragraph) for paragraph in paragraphs if "Package: aws-neuronx-" in paragraph)
    return {
        fields["Package"]: fields["Version"]
        for fields in ours
        if fields.get("Status", "").endswith(" installed") and {"Package", "Version"} <= fields.keys()
    }


def _fields(paragraph: str) -> dict[str, str]:
    lines = (line.partition(":") for line in paragraph.splitlines())
    return {name: value.strip() for name, _, value in lines}


def describe(machine: NeuronMachine) -> dict[str, Scalar]:
    """Flat, for the record: bytes where a name says so, None where unknown; per chip, in the order of numbers."""
    return {
        "neuron_chip": machine.chip,
        "neuron_chip_count": len(machine.chips),
        "neuron_instance_type": machine.instance_type,
        "neuron_logical_cores_per_chip": machine.logical_cores_per_chip,
        "neuron_logical_neuroncore_config": machine.logical_neuroncore_config,
        "neuron_logical_neuroncore_config_source": machine.logical_neuroncore_config_source,
        "neuron_logical_neuroncore_config_assumed": machine.logical_neuroncore_config_source == "assumed",
        "neuron_memory_bytes_per_chip": machine.memory_bytes_per_chip,
        "neuron_memory_bytes_per_logical_core": machine.memory_bytes_per_logical_core,
        "neuron_memory_source": machine.memory_source,
        "neuron_numa_nodes": _listed(chip.numa_node for chip in machine.chips),
        "neuron_cpu_affinity": _listed(chip.cpu_affinity for chip in machine.chips),
        "neuron_driver_version": machine.driver_version,
        "neuron_runtime_version": machine.runtime_version,
        "neuron_collectives_version": machine.collectives_version,
        "neuron_tools_version": machine.tools_version,
        "neuron_conflicts": "; ".join(machine.conflicts) or None,
    }


def _listed(values: Iterable[object]) -> str | None:
    """Joined by blanks, "unknown" for None; None where all are unknown."""
    found = ["unknown" if value is None else str(value) for value in values]
    return " ".join(found) if set(found) != {"unknown"} else None
