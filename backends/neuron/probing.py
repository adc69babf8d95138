"""What the backends on Neuron ask before they call themselves available, and the variables that they share."""

import os
import shutil
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from backends.contract import Availability, Scalar
from backends.errors import BackendError
from backends.neuron.checks import CONFIG_VARIABLES
from backends.neuron.machine import NeuronMachine, describe, read_machine
from backends.neuron.packages import INDEX, installed_version, script_folders

LONGEST_WAIT_SECONDS = "86400"
"""The runtime gives a program 30 seconds (NEURON_RT_EXEC_TIMEOUT, Neuron runtime configuration guide), less than a rank
may wait in a collective for one that still compiles; the runner limits the time of a run."""
AUTO_CAST = "--auto-cast=none"
"""Neuron's pages contradict each other on the compiler's default, so it is always given."""
COMPILER = "neuronx-cc"
SDK_BY_COMPILER = {"2.26": "2.31", "2.28": "2.33"}
"""Nothing installed names the SDK's release. Source: AWS Neuron release notes, 2.33.0 (neuronx-cc 2.28.7631.0; the
PyTorch 2.9 line's 2.26.6360.0, shipped with 2.31)."""


@cache
def machine(root: Path) -> NeuronMachine | None:
    """The Neuron side of this machine, asked once a process: neuron-ls takes its time."""
    return read_machine(root)


def compiler_folder() -> Path | None:
    """Where neuronx-cc is: on PATH, beside the interpreter, or in the environment that its package lies in.

    An environment need not be active to be used, and ours may stand on AWS's.
    """
    places = [None, str(Path(sys.executable).parent), *script_folders(COMPILER)]
    found = next(filter(None, (shutil.which(COMPILER, path=place) for place in places)), None)
    return Path(found).parent if found else None


def facts(found: NeuronMachine | None) -> dict[str, Scalar]:
    """What a record tells of the Neuron side, whichever the stack: chip, cores, memory, versions."""
    compiler = installed_version(COMPILER)
    release = ".".join((compiler or "").split(".")[:2])
    return {
        "neuronx_cc_version": compiler,
        "neuron_sdk_version": SDK_BY_COMPILER.get(release),
        **(describe(found) if found else {}),
    }


def available(device_type: str, found: NeuronMachine, *, process_per_device: bool, note: str = "") -> Availability:
    """As many devices as the machine has logical cores; not available where nothing tells how many those are."""
    cores = found.logical_cores_per_chip
    if cores is None:
        return unavailable(
            device_type,
            "nothing tells how many logical cores a chip has",
            "install aws-neuronx-tools, whose neuron-ls tells, or set NEURON_LOGICAL_NC_CONFIG",
        )
    return Availability(
        available=True,
        device_type=device_type,
        device_count=len(found.chips) * cores,
        devices_per_chip=cores,
        process_per_device=process_per_device,
        note=note,
    )


def no_chip(device_type: str) -> Availability:
    """There is no Neuron device here."""
    return unavailable(device_type, "no Neuron device: /dev has no neuron0", "run on a trn1, trn2 or trn3 instance")


def no_compiler(device_type: str) -> Availability:
    """The first operation would wait for it for ever, without a word."""
    fix = f"activate the environment that has it, or pip install 'neuronx-cc>=2' --extra-index-url {INDEX}"
    return unavailable(device_type, f"{COMPILER} is neither on PATH nor beside the interpreter", fix)


def unavailable(device_type: str, reason: str, fix: str) -> Availability:
    """Why not, and what would help."""
    return Availability(available=False, device_type=device_type, reason=reason, fix=fix)


def common_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """A recipe's variables, and what every Neuron stack needs for honest numbers.

    Rounding is to nearest, as on every other device. The compiler is found even where its environment is not active.

    Raises:
        BackendError: as `compiler_flags`, or a variable that changes how many cores a chip has.
    """
    folder = compiler_folder()
    path = {} if folder is None or shutil.which(COMPILER) else {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    for name in CONFIG_VARIABLES:
        if name in variables:
            raise BackendError(f"a recipe cannot set {name}: cores are counted without it", "export it before fairchip")
    return {
        "NEURON_RT_EXEC_TIMEOUT": LONGEST_WAIT_SECONDS,
        **variables,
        "NEURON_CC_FLAGS": compiler_flags(variables.get("NEURON_CC_FLAGS", "")),
        "NEURON_RT_STOCHASTIC_ROUNDING_EN": "0",
        **path,
    }


def compiler_flags(asked: str) -> str:
    """A recipe's flags for neuronx-cc with ``--auto-cast=none`` among them.

    Raises:
        BackendError: they ask for another cast, or for a cache of their own, which would make cold starts warm.
    """
    words = asked.split()
    for word in words:
        if word.startswith("--auto-cast") and word != AUTO_CAST:
            raise BackendError(f"NEURON_CC_FLAGS has {word}, which changes the precision", f"write {AUTO_CAST}")
        if word.startswith("--cache_dir"):
            raise BackendError("NEURON_CC_FLAGS has --cache_dir, but each suite has its own cache", "leave it out")
    return " ".join(words if AUTO_CAST in words else [*words, AUTO_CAST])
