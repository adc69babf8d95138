"""Where the Neuron driver's files and AWS's command-line tools are, and how a tool is ended.

Sources: Neuron Sysfs User Guide (folders), neuron-ls User Guide and neuron-monitor User Guide (tools).
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

TOOLS = "opt/aws/neuron/bin"
"""AWS's folder of neuron-ls and neuron-monitor. A login shell has it on PATH; sudo, systemd and containers do not."""


def device_numbers(root: Path) -> tuple[int, ...]:
    """N of every ``dev/neuronN`` below ``root``, ascending; a container may see some of them only."""
    names = (re.fullmatch(r"neuron(\d+)", path.name, re.ASCII) for path in root.glob("dev/neuron*"))
    return tuple(sorted(int(name.group(1)) for name in names if name))


def device_folder(root: Path, number: int) -> Path:
    """The device's folder in sysfs: where the Neuron Sysfs User Guide has it, else the kernel's link to it."""
    documented = root / f"sys/devices/virtual/neuron_device/neuron{number}"
    return documented if documented.exists() else root / f"sys/class/neuron_device/neuron{number}"


def find_tool(name: str, root: Path) -> Path | None:
    """One of AWS's tools: the one on PATH, else the one in AWS's folder below ``root``; None without either."""
    found = shutil.which(name) or shutil.which(name, path=str(root / TOOLS))
    return Path(found) if found else None


def end_group(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Kill a process that leads its own session and all that it started; wait for it, at most so long."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
