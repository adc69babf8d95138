"""What can run here, what cannot, and the exact step that would change it. Imports no framework.

Plain lines of a label and a fact, at most 80 columns, that read well aloud and may be pasted into a bug report:
they name no user, host, home or secret.
"""

import contextlib
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from backends.contract import Availability
from backends.host import accelerators, cxx_compiler, neuron_devices, small_text
from backends.neuron.machine import read_machine
from backends.registry import availabilities
from bench.compile_caches import left_over_caches
from bench.environment import read_environment
from bench.folders import RUNS_FOLDER
from bench.identity import host_id
from bench.privacy import Scrubber
from results.record import Environment

ROOMS = ("bench", "workloads", "backends", "results")
COLUMNS = 80
LABEL_COLUMNS = 14
FIX = "fix"
"""Label of the step that helps with the line above."""
LITTLE_ROOM_BYTES = 2**30


class Fact(NamedTuple):
    """One line of the diagnosis."""

    label: str
    value: str


def print_diagnosis(root: Path = Path("/")) -> None:
    """Everything on standard output, in about a second; ``root`` holds ``proc``, ``sys`` and ``dev``."""
    scrubber = Scrubber.keeping_paths()
    environment = scrubber.content(read_environment(root), "environment")
    groups = {
        "Backends": _backends(),
        "Machine": _machine(environment, root),
        "Disk": _disk(),
        "Software": _software(root),
    }
    for heading, facts in groups.items():
        print(heading)
        for label, value in facts:
            print(_line(label, scrubber.content(value, label)))
        print()
    print("Packages")
    for name, number in {"Python": environment.python, **environment.packages}.items():
        print(_line(name, number))


def _line(label: str, value: str) -> str:
    """``label  value``, continued below the value; no word is cut, and a fix stays whole, to be copied."""
    beginning = f"  {label:<{LABEL_COLUMNS}}  "
    if label == FIX:
        return beginning + value
    return textwrap.fill(
        value,
        COLUMNS,
        initial_indent=beginning,
        subsequent_indent=" " * (LABEL_COLUMNS + 4),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _backends() -> Iterator[Fact]:
    for name, found in availabilities().items():
        yield Fact(name, _state(found))
        if not found.available and found.fix:
            yield Fact(FIX, found.fix)


def _state(found: Availability) -> str:
    if not found.available:
        return f"no: {found.reason}"
    return f"ready; {found.note}" if found.note else "ready"


def _machine(environment: Environment, root: Path) -> Iterator[Fact]:
    yield Fact("processor", environment.cpu_model)
    yield Fact("CPUs", f"{environment.logical_cpus} logical, {environment.physical_cpus or 'unknown'} physical")
    memory = _memory_bytes(root)
    yield Fact("memory", f"{_gib(memory.get('MemTotal'))} in all, {_gib(memory.get('MemAvailable'))} available")
    yield from _container_limits(root)
    found = [f"{count} x {name}" for name, count in accelerators(root).items()]
    yield Fact("accelerators", ", ".join(found) or "none found")
    yield Fact("driver", environment.accelerator_driver or "none found")
    yield from _neuron(root)
    yield Fact("system", f"{environment.operating_system}, kernel {environment.kernel}")
    yield from _cloud(environment)
    yield from _identity()


def _neuron(root: Path) -> Iterator[Fact]:
    """How Neuron chips are set up, and what does not agree about them."""
    machine = read_machine(root)
    if machine is None:
        return
    cores = machine.logical_cores_per_chip or "unknown"
    config = machine.logical_neuroncore_config
    told = f", {config} physical each ({machine.logical_neuroncore_config_source})" if config else ""
    memory = _gib(machine.memory_bytes_per_logical_core)
    yield Fact("Neuron", f"{len(machine.chips)} x {machine.chip}: {cores} logical cores a chip{told}, {memory} a core")
    versions = {
        "runtime": machine.runtime_version,
        "collectives": machine.collectives_version,
        "tools": machine.tools_version,
    }
    for name, version in versions.items():
        yield Fact(name, f"version {version}" if version else "not installed as a Debian package")
    for conflict in machine.conflicts:
        yield Fact("conflict", conflict)


def _memory_bytes(root: Path) -> dict[str, int]:
    """``/proc/meminfo``, whose kB are KiB."""
    lines = (line.split() for line in small_text(root / "proc/meminfo").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1 and words[1].isdecimal()}


def _container_limits(root: Path) -> Iterator[Fact]:
    """What a container may use of the machine (control groups, version 2); nothing where it may use all."""
    memory = small_text(root / "sys/fs/cgroup/memory.max")
    if memory.isdecimal():
        yield Fact("memory limit", f"{_gib(int(memory))} for this container")
    quota, _, period = small_text(root / "sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal():
        yield Fact("CPU limit", f"{int(quota) / int(period):.2f} CPUs for this container: its runs are throttled")


def _cloud(environment: Environment) -> Iterator[Fact]:
    instance = environment.instance
    yield Fact("cloud", f"{instance.provider or 'unknown'} ({instance.source})")
    yield Fact("instance", instance.name or "unknown")
    if instance.provider is not None:
        yield Fact("region", instance.region or "unknown")
        yield Fact("bought as", instance.purchase_model or "unknown")
    if instance.name is None:
        yield Fact(FIX, "for a cost: --instance c8i.2xlarge, or --usd-per-hour 0.10")


def _identity() -> Iterator[Fact]:
    if host_id() == host_id():
        yield Fact("host id", "random, kept here: all runs count as one host's")
    else:
        yield Fact("host id", "cannot be kept: every invocation counts as another host")
        yield Fact(FIX, "export FAIRCHIP_STATE=/a/writable/folder")


def _disk() -> Iterator[Fact]:
    yield from _folder("records", RUNS_FOLDER, "choose another folder with --out")
    yield from _folder("temporary", Path(tempfile.gettempdir()), "export TMPDIR=/a/larger/writable/folder")
    yield Fact("caches", "of compilers, below the temporary folder while a suite runs")
    left = left_over_caches()
    if left:
        size = _gib(sum(map(_size_bytes, left)))
        yield Fact("left caches", f"{len(left)} of killed runs, {size}; the next suite removes them")


def _folder(label: str, folder: Path, fix: str) -> Iterator[Fact]:
    """Room on the disk of a folder that need not exist yet."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    writable, free_bytes = os.access(existing, os.W_OK), shutil.disk_usage(existing).free
    yield Fact(label, f"{folder}, {_gib(free_bytes)} free" + ("" if writable else ", not writable"))
    if not writable or free_bytes < LITTLE_ROOM_BYTES:
        yield Fact(FIX, fix)


def _size_bytes(folder: Path) -> int:
    """Of all files below, as far as they can be read: another process may be removing them."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            size += path.lstat().st_size
    return size


def _software(root: Path) -> Iterator[Fact]:
    yield Fact("interpreter", sys.executable)
    compiler = cxx_compiler()
    yield Fact("C++ compiler", compiler or "none: torch runs eager")
    if compiler is None:
        yield Fact(FIX, _install_compiler())
    if neuron_devices(root):
        yield from _neuron_compiler()
    for name in ("pandas", "scipy"):
        if find_spec(name) is None:
            yield Fact(name, "not installed: records are made, but not compared")
            yield Fact(FIX, "make setup, or pip install -e '.[report]'")
    for clash in name_clashes():
        yield Fact("clash", clash)


def _install_compiler() -> str:
    commands = {"apt-get": "sudo apt-get install g++", "dnf": "sudo dnf install gcc-c++", "apk": "sudo apk add g++"}
    return next((command for tool, command in commands.items() if shutil.which(tool)), "install g++")


def _neuron_compiler() -> Iterator[Fact]:
    """It lies beside the interpreter of the environment that has it, which need not be active."""
    found, beside = shutil.which("neuronx-cc"), Path(sys.executable).parent
    yield Fact("neuronx-cc", found or "not on PATH")
    if found is None and (beside / "neuronx-cc").exists():
        yield Fact(FIX, f"export PATH={beside}:$PATH")
    elif found is None:
        yield Fact(FIX, "pip install 'neuronx-cc>=2' --extra-index-url https://pip.repos.neuron.amazonaws.com")


def name_clashes() -> list[str]:
    """Other distributions that install a top-level package of our names: the last one installed would win."""
    owners = packages_distributions()
    return [
        f"{room} also comes from {', '.join(others)}: use an environment of fairchip's own"
        for room in ROOMS
        if (others := sorted(set(owners.get(room, ())) - {"fairchip"}))
    ]


def _gib(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else f"{size_bytes / 2**30:.1f} GiB"
