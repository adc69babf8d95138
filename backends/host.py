"""What may be asked of the host without a driver call or a framework: memory, a C++ compiler, accelerators."""

import os
import re
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from backends.contract import MemoryUse


def peak_resident_memory() -> MemoryUse:
    """Largest resident set of this process since it started, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return MemoryUse(peak_bytes=peak, source="largest resident set of the process")


def available_cpus() -> int:
    """Logical processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cxx_compiler() -> str | None:
    """The C++ compiler that torch.compile would use, or None: ``CXX``, else the usual names on PATH."""
    asked = os.environ.get("CXX")
    return shutil.which(asked) if asked else next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)


def accelerators(root: Path = Path("/")) -> dict[str, int]:
    """How many of each accelerator the kernel shows below ``root``, by name; what is in the way is in the name."""
    return dict(Counter([*_nvidia(root), *neuron_devices(root), *_amd(root)]))


def neuron_devices(root: Path = Path("/")) -> list[str]:
    """A name for every Neuron device. Source of the path: Neuron Sysfs User Guide, info/architecture/device_name."""
    files = [path.name for path in sorted(root.glob("dev/neuron*")) if re.fullmatch(r"neuron\d+", path.name)]
    folder = root / "sys/class/neuron_device"
    return [small_text(folder / name / "info/architecture/device_name") or "Neuron device" for name in files]


def _nvidia(root: Path) -> Iterator[str]:
    """By the driver's own files, which a container may see of GPUs that it does not have, or by the bus."""
    found = dict(map(_nvidia_gpu, root.glob("proc/driver/nvidia/gpus/*/information")))
    files = [path.name.removeprefix("nvidia") for path in root.glob("dev/nvidia*")]
    minors = [name for name in files if name.isdecimal()]
    if minors:
        yield from (found.get(minor, "Nvidia GPU") for minor in minors)
    elif found:
        yield from (f"{model} without a device file in /dev" for model in found.values())
    else:
        yield from ("Nvidia GPU without a driver" for device in root.glob("sys/bus/pci/devices/*") if _is_gpu(device))


def _nvidia_gpu(information: Path) -> tuple[str, str]:
    """Number of the device file, and model."""
    lines = (line.partition(":") for line in small_text(information).splitlines())
    facts = {name.strip(): value.strip() for name, _, value in lines}
    return facts.get("Device Minor", information.parent.name), facts.get("Model") or "Nvidia GPU"


def _is_gpu(device: Path) -> bool:
    """Whether a PCI device is Nvidia's (vendor 10de) and a display controller (class 03)."""
    return small_text(device / "vendor") == "0x10de" and small_text(device / "class").startswith("0x03")


def _amd(root: Path) -> Iterator[str]:
    """GPUs among the nodes of AMD's compute driver; a processor is a node whose gpu_id is 0."""
    for node in sorted(root.glob("sys/class/kfd/kfd/topology/nodes/*")):
        if small_text(node / "gpu_id") not in ("", "0"):
            yield f"AMD GPU {small_text(node / 'name')}".strip()


def small_text(path: Path) -> str:
    """The content of a small file, or nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
