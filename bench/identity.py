"""Random local identifiers that tell hosts and boots apart and name neither."""

import hashlib
import os
import re
import uuid
from pathlib import Path


def host_id() -> str:
    """A random identifier kept on this machine: 32 hexadecimal characters, made on first use.

    Where it cannot be kept (a read-only home), every call makes another, and runs of different
    invocations count as different hosts.
    """
    try:
        path = state_folder() / "host-id"
    except RuntimeError:  # an account without a home
        return uuid.uuid4().hex
    try:
        known = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        known = ""
    return known if re.fullmatch("[0-9a-f]{32}", known) else _made(path)


def boot_id(host: str) -> str:
    """Changes with every boot of a host; a hash, so that the system's own identifier stays private."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        boot = "unknown"
    return hashlib.sha256(f"{host}/{boot}".encode()).hexdigest()[:32]


def _made(path: Path) -> str:
    fresh = uuid.uuid4().hex
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(fresh + "\n", encoding="ascii")
    except OSError:
        pass
    return fresh


def state_folder() -> Path:
    """``FAIRCHIP_STATE``, else ``$XDG_STATE_HOME/fairchip``, else ``~/.local/state/fairchip``."""
    asked = os.environ.get("FAIRCHIP_STATE")
    if asked:
        return Path(asked)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "fairchip"
