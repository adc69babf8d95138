"""Keeps a record free of what names its owner: home, user, host, and the places of this checkout."""

import getpass
import os
import re
import socket
from pathlib import Path

LONGEST_TEXT = 4000

_SECRET = re.compile(r"(?i)\b([A-Z0-9_]*(?:TOKEN|SECRET|PASSWORD|API_?KEY|ACCESS_KEY)[A-Z0-9_]*)(\s*[=:]\s*)\S+")


def scrubbed(text: str) -> str:
    """The end of a text, at most 4000 characters, with paths of this machine, names and secrets replaced."""
    for private, shown in _replacements():
        text = text.replace(private, shown)
    text = re.sub(r"/(?:home|Users)/[^/\s\"':]+", "~", text)
    return _SECRET.sub(r"\1\2<masked>", text)[-LONGEST_TEXT:]


def _replacements() -> list[tuple[str, str]]:
    """Longest first, so that a path is not cut by the shorter one it begins with."""
    project = Path(__file__).resolve().parent.parent
    found = {str(project): "<fairchip>", str(Path.home()): "~", socket.gethostname(): "<host>", _user(): "<user>"}
    temporary = os.environ.get("TMPDIR", "/tmp").rstrip("/")
    found[temporary] = "<tmp>"
    return sorted(((name, shown) for name, shown in found.items() if len(name) > 3), key=lambda pair: -len(pair[0]))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
