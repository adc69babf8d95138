"""What ``neuron-ls --json-output`` tells about each chip. Source of names and units: neuron-ls User Guide.

Only the fields below leave this file. The tool prints identifiers too (``bdf``, processes with their commands,
in newer releases ``instance_id``): they are never copied.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backends.neuron.tools import end_group

LIMIT_SECONDS = 10.0
"""neuron-ls answers within a second; one that waits for a hung driver must not hold up the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedChip:
    """One device as the tool lists it; None: the key is missing or is not what the guide says."""

    number: int
    """N of ``/dev/neuronN``."""
    logical_cores: int | None
    """``nc_count``: cores as programs see them, two physical ones each where the core configuration is 2."""
    core_config: int | None
    """``logical_neuroncore_config``: physical cores per logical core; missing on Trainium1."""
    memory_bytes: int | None
    """``memory_size``."""
    numa_node: int | None
    """A string in the tool's output; "-1" says that the kernel knows none."""
    cpu_affinity: str | None
    """Processors near the chip, in the kernel's list format: "0-47,96-143"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the tool told, and what was odd about it."""

    chips: Mapping[int, ListedChip] = field(default_factory=dict)
    """By number of the device."""
    note: str = ""
    """Why there are none although the tool is there; empty if all is well or there is no tool."""


def list_chips(tool: Path | None) -> Listing:
    """Ask neuron-ls. Blocks for ten seconds at most; never raises. No tool: nothing listed, nothing noted."""
    if tool is None:
        return Listing()
    try:
        code, output = _run(tool)
    except subprocess.TimeoutExpired:
        return Listing(note=f"neuron-ls did not answer within {LIMIT_SECONDS:.0f} s")
    except OSError:
        return Listing(note="neuron-ls could not be started")
    if code and not output.strip():
        return Listing(note="neuron-ls lists no device")  # exit 1 and a line on standard error
    return _parsed(output)


def _run(tool: Path) -> tuple[int, bytes]:
    """Exit code and standard output; the tool and what it started are gone afterwards."""
    with subprocess.Popen(
        [tool, "--json-output"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=LIMIT_SECONDS)
        except BaseException:
            end_group(process, 1.0)
            raise
    return process.returncode, output


def _parsed(output: bytes) -> Listing:
    """The tool prints a bare array, one object a device."""
    try:
        entries = json.loads(output)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list):
        return Listing(note="neuron-ls printed no list of devices")
    chips = [_chip(entry) for entry in entries if isinstance(entry, dict)]
    known = {chip.number: chip for chip in chips if chip is not None}
    return Listing(chips=known, note="" if known else "neuron-ls lists no device")


def _chip(entry: Mapping[str, object]) -> ListedChip | None:
    """One device, or None where it has no number."""
    number = _count(entry.get("neuron_device"))
    if number is None:
        return None
    return ListedChip(
        number=number,
        logical_cores=_count(entry.get("nc_count")) or None,
        core_config=_count(entry.get("logical_neuroncore_config")) or None,
        memory_bytes=_count(entry.get("memory_size")) or None,
        numa_node=_numa_node(entry.get("numa_node")),
        cpu_affinity=_cpu_list(entry.get("cpu_affinity")),
    )


def _count(value: object) -> int | None:
    """A whole number of at least 0; JSON's true is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _numa_node(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"\d{1,4}", value, re.ASCII) else None
    return _count(value)


def _cpu_list(value: object) -> str | None:
    """Anything that is no list of processors does not pass."""
    return value if isinstance(value, str) and re.fullmatch(r"[0-9,-]{1,300}", value) else None
