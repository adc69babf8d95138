"""What the backends on Neuron ask before they call themselves available, and the variables that they share."""

import os
import shutil
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from backends.contract import Availability, Scalar
from backends.errors import BackendError
from backends.neuron.machine import NeuronMachine, describe, read_machine
from backends.neuron.packages import installed_version, script_folders

INDEX = "https://pip.repos.neuron.amazonaws.com"
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


def available(device_type: str, found: NeuronMachine, *, process_per_device: bool) -> Availability:
    """As many devices as the machine has logical cores."""
    cores = found.logical_cores_per_chip or 1
    return Availability(
        available=True,
        device_type=device_type,
        device_count=len(found.chips) * cores,
        devices_per_chip=cores,
        process_per_device=process_per_device,
    )


def no_chip(device_type: str) -> Availability:
    """There is no Neuron device here."""
    return unavailable(device_type, "no Neuron device: /dev has no neuron0", "run on a trn1, trn2 or trn3 instance")


def no_compiler(device_type: str) -> Availability:
    """The first operation would wait for it for ever, without a word."""
    fix = f"pip install 'neuronx-cc>=2' --extra-index-url {INDEX}"
    return unavailable(device_type, f"{COMPILER} is neither on PATH nor beside the interpreter", fix)


def unavailable(device_type: str, reason: str, fix: str) -> Availability:
    """Why not, and what would help."""
    return Availability(available=False, device_type=device_type, reason=reason, fix=fix)


def common_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """A recipe's variables, and what every Neuron stack needs for honest numbers.

    Casts are said to be off by default, and older pages say otherwise: they are switched off in words. Rounding is
    to nearest, as on every other device. The compiler is found even where the environment is not active.

    Raises:
        BackendError: a compiler flag that would make the cache another than the runner's.
    """
    flags = variables.get("NEURON_CC_FLAGS", "")
    if "--cache_dir" in flags:
        raise BackendError("NEURON_CC_FLAGS has --cache_dir, but the runner chooses the cache", "leave it out")
    if "--auto-cast" not in flags:
        flags = f"{flags} --auto-cast=none".strip()
    folder = compiler_folder()
    path = {} if folder is None or shutil.which(COMPILER) else {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    return {**variables, "NEURON_CC_FLAGS": flags, "NEURON_RT_STOCHASTIC_ROUNDING_EN": "0", **path}
