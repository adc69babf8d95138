"""The environment block of a record: what software and hardware a run had, and nothing that names its owner."""

import hashlib
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path

import psutil

from backends.host import available_cpus, small_text
from bench.identity import boot_id, host_id
from bench.instance import detect_instance
from bench.private_shapes import MASK, looks_secret
from results.record import Environment

CACHE_MARK = "<cache>"
"""Stands in records for the folder of the compile caches."""

PROJECT = Path(__file__).resolve().parent.parent

_PACKAGES_THAT_MATTER = re.compile(
    r"^(fairchip|numpy|torch.*|jax.*|triton|nvidia[-_].*|neuronx.*|libneuronxla|nki|intel-openmp|mkl.*)$"
)

_VARIABLES_THAT_MATTER = re.compile(
    r"^(ATEN_|GLIBC_|ONEDNN_|DNNL_|OPENBLAS_|OMP_|MKL_|KMP_|GOMP_|MALLOC_|XLA_|JAX_|TORCH|PYTORCH_|CUDA_VISIBLE|CUBLAS_|NVIDIA_TF32|NCCL_|NEURON_|NKI_|PJRT_)"
    r"|^LD_PRELOAD$"
)
_LOOKS_PRIVATE = re.compile(r"[/\\@]")


def read_environment(root: Path = Path("/")) -> Environment:
    """This machine and this Python environment, in about a tenth of a second; imports no framework.

    Once a process, a cloud's metadata server that does not answer may take a second more.

    ``root`` holds ``proc`` and ``sys``.
    """
    host = host_id()
    packages = _packages()
    commit, modified = _git_state()
    return Environment(
        host_id=host,
        boot_id=boot_id(host),
        operating_system=_operating_system(),
        kernel=platform.release(),
        python=platform.python_version(),
        cpu_model=_cpu_model(root),
        logical_cpus=available_cpus(),
        physical_cpus=psutil.cpu_count(logical=False),
        memory_bytes=psutil.virtual_memory().total,
        accelerator_driver=_driver(root),
        instance=detect_instance(root / "sys/class/dmi/id"),
        packages={name: version for name, version in sorted(packages.items()) if _PACKAGES_THAT_MATTER.match(name)},
        packages_sha256=_sha256_of_lines(f"{name}=={version}" for name, version in packages.items()),
        source_commit=commit,
        source_modified=modified,
        source_sha256=_source_sha256(),
        variables={},
    )


def with_variables(environment: Environment, recipe_variables: Mapping[str, str]) -> Environment:
    """The block with what the recipe set and what the user had set of known relevance; paths are masked."""
    users = {name: value for name, value in os.environ.items() if _VARIABLES_THAT_MATTER.search(name)}
    return environment.model_copy(update={"variables": masked({**users, **recipe_variables})})


def masked(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables sorted by name, each word of a value masked if it looks like a path, an address or a secret."""
    return {name: _masked(name, value) for name, value in sorted(variables.items())}


def _masked(name: str, value: str) -> str:
    value = value.encode("utf-8", "replace").decode()  # a variable may hold any bytes, a record only text
    if value.startswith(CACHE_MARK):
        return value
    if looks_secret(name):
        return MASK
    return " ".join(MASK if _LOOKS_PRIVATE.search(word) else word for word in value.split(" "))[:500]


def _packages() -> dict[str, str]:
    """Version of every installed distribution; each one's metadata is parsed at every access, so once."""
    found = (dist.metadata for dist in distributions())
    return {facts["Name"].lower(): facts["Version"] for facts in found if "Name" in facts}


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()


def _cpu_model(root: Path) -> str:
    text = small_text(root / "proc/cpuinfo")
    if not text:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def _driver(root: Path) -> str | None:
    """Version of the Nvidia or Neuron kernel driver."""
    nvidia = small_text(root / "proc/driver/nvidia/version")
    found = re.search(r"Kernel Module.*?(\d+\.\d+(\.\d+)?)", nvidia)
    if found:
        return f"nvidia {found.group(1)}"
    neuron = small_text(root / "sys/module/neuron/version")
    return f"neuron {neuron}" if neuron else None


def _git_state() -> tuple[str | None, bool | None]:
    """Commit and whether tracked files differ from it; None outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    if commit is None or not re.fullmatch("[0-9a-f]{40,64}", commit):
        return None, None
    status = _git("status", "--porcelain", "--untracked-files=no")
    return commit, None if status is None else bool(status)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PROJECT), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _source_sha256() -> str:
    """Of the source and configuration files of the rooms that run, names included."""
    rooms = ("bench", "workloads", "backends", "results")
    files = sorted(path for room in rooms for pattern in ("*.py", "*.toml") for path in (PROJECT / room).rglob(pattern))
    return _sha256_of_lines(
        f"{path.relative_to(PROJECT).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files
    )


def _sha256_of_lines(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
