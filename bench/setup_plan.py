"""What `setup_env.py` installs on which machine, and why: decisions only, without a look at the machine.

It runs before anything is installed, so it uses the standard library alone.

- A vendor's torch or jax wins: it was built for the machine, and its family of packages is frozen.
- Without an accelerator, torch is the CPU build: the usual one for Linux brings gigabytes of CUDA packages.
- With an NVIDIA GPU, torch and jax come with the newest CUDA that the driver can run.
- On a Neuron machine, torch and jax come from AWS alone: from the environment of AWS's image that fits best, unless
  one is active or named; without one, the user reads where to get it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatch

FRAMEWORKS = ("torch", "jax")
# A build of a framework and what was built against it: replacing one of these breaks the vendor's others.
FAMILY = (
    *("torch", "torch-neuronx", "torch-xla", "triton", "jax", "jaxlib", "jax-neuronx", "jax-cuda*"),
    *("neuronx-cc", "libneuronxla", "nki", "nvidia-*", "cuda-*", "numpy"),
)
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# CUDA 13 needs this driver. torch's default build moved to it in 2.11 (Requires-Dist of 2.10.0 and 2.11.0).
CUDA13_DRIVER, CUDA13_TORCH = 580, "2.11"
COMPARE = {
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True)
class Machine:
    """The little that decides which builds can run here."""

    linux: bool
    nvidia: bool = False
    driver: int | None = None  # NVIDIA's, the major version
    neuron: bool = False
    neuron_pythons: Sequence[str] = ()  # the interpreters of AWS's own environments, if it is their image


@dataclass(frozen=True)
class Step:
    """One pip install and the line that explains it; without arguments, the line alone."""

    why: str
    arguments: tuple[str, ...] = ()


def driver_major(text: str) -> int | None:
    """580 from `NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  ...`."""
    match = re.search(r"\s(\d{3,})\.\d+", text)
    return int(match[1]) if match else None


def constraints(versions: Mapping[str, str], patterns: Sequence[str]) -> list[str]:
    """Lines for pip's `-c` that keep what is there; our own package may change."""
    return sorted(
        f"{name}=={version}"
        for name, version in versions.items()
        if name != "fairchip"
        and any(fnmatch(name, pattern) for pattern in patterns)
        and re.fullmatch(r"\d[\w.!+]*", version)  # pip would stop at the odd version that some carry
    )


def release(version: str) -> tuple[int, ...]:
    """(2, 9, 1) from `2.9.1+cpu`."""
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))


def in_range(version: str, specifier: str) -> bool:
    """Whether a release satisfies a range such as `>=2.9,<3`."""
    clauses = re.findall(r"([^\d\s,]+)\s*([\d.]+)", specifier)
    return all(COMPARE[sign](release(version), release(bound)) for sign, bound in clauses)


def newest_cpu_build(versions: Sequence[str], specifier: str) -> str | None:
    """The newest final `+cpu` version in the range."""
    final = [version for version in versions if re.fullmatch(r"[\d.]+\+cpu", version)]
    return max((version for version in final if in_range(version, specifier)), key=release, default=None)


def cpu_torch_step(specifier: str, versions_at: Callable[[str | None], Sequence[str]]) -> Step:
    """The CPU build from where pip is configured to look, else from PyTorch's index, else fair warning.

    `versions_at(index)` lists torch's versions there; None stands for pip's configured places.
    """
    for index in (None, CPU_INDEX):
        if build := newest_cpu_build(versions_at(index), specifier):
            # --no-deps: from that index only torch itself. The main install adds what torch depends on.
            source = ("--index-url", index) if index else ()
            why = f"Installing torch {build}: no accelerator here, so the build without CUDA."
            return Step(why, ("--no-deps", *source, f"torch=={build}"))
    return Step("No CPU build of torch found: its CUDA packages come along, several gigabytes of download.")


def cuda_requirements(ranges: Mapping[str, str], driver: int | None) -> dict[str, str]:
    """The frameworks for this driver. If it is unknown: CUDA 12, which newer drivers run as well."""
    if driver is not None and driver >= CUDA13_DRIVER:
        return {"torch": f"torch{ranges['torch']}", "jax": f"jax[cuda13]{ranges['jax']}"}
    return {"torch": f"torch{ranges['torch']},<{CUDA13_TORCH}", "jax": f"jax[cuda12]{ranges['jax']}"}


def in_order_of_preference(pythons: Sequence[str]) -> list[str]:
    """AWS's environments: torch's before jax's, newer before older; those for inference alone are left out.

    They are named after their framework and its release, as in `aws_neuronx_venv_pytorch_2_9/bin/python`.
    """
    training = [python for python in pythons if not re.search("inference|transformers|vllm|tensorflow", python)]
    return sorted(training, key=lambda python: ("torch" in python, release(python.replace("_", "."))), reverse=True)


def neuron_advice(pythons: Sequence[str]) -> str:
    """Where a Neuron machine's torch and jax are; `pythons` are AWS's environments found on it."""
    image = "start from the image 'Deep Learning AMI Neuron', then PYTHON=/opt/aws_neuron<...>/bin/python"
    place = "PYTHON=" + " or PYTHON=".join(pythons) if pythons else image
    return f"A Neuron machine: torch and jax come from AWS and are not installed here. Use them with {place}"


def plan(
    extras: Set[str],
    have: Mapping[str, str],
    vendors: Mapping[str, str],
    machine: Machine,
    ranges: Mapping[str, str],
    versions_at: Callable[[str | None], Sequence[str]],
) -> list[Step]:
    """The installs that bring `extras`, in order.

    `have`: versions of all that the environment sees; `vendors`: of what is the vendor's among it.
    `ranges`: the frameworks' in pyproject.toml, such as `>=2.9`. `versions_at`: see `cpu_torch_step`.
    """
    kept = [name for name in FRAMEWORKS if name in extras and name in vendors]
    wanted = [name for name in FRAMEWORKS if name in extras and name not in vendors]
    steps = [Step(f"Keeping the vendor's {name} {vendors[name]} (fairchip: {ranges[name]}).") for name in kept]
    requirements: list[str] = []
    if wanted and machine.neuron:
        steps.append(Step(neuron_advice(machine.neuron_pythons)))
        wanted = []
    elif wanted and machine.nvidia:
        steps.append(Step("An NVIDIA GPU: what is missing of CUDA is a download of several gigabytes."))
        requirements = [cuda_requirements(ranges, machine.driver)[name] for name in wanted]
    elif "torch" in wanted and machine.linux and not in_range(have.get("torch", "0"), ranges["torch"]):
        steps.append(cpu_torch_step(ranges["torch"], versions_at))
    names = ",".join(sorted((extras - set(FRAMEWORKS)) | set(wanted)))
    project = f".[{names}]" if names else "."
    return [*steps, Step(f"Installing fairchip ({project}).", ("-e", project, *requirements))]
