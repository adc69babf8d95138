"""Reading the files that a user names: a pipe would block, a device never end, a large file fill the memory."""

import errno
import stat
import tomllib
from pathlib import Path
from typing import Any

LARGEST_TEXT_BYTES = 2**20
"""No workload, recipe or model configuration is larger."""

_MOST_DOTS = 64
"""tomllib needs time by the square of a dotted key's parts; no key of ours has more than three."""


def require_regular(path: Path, largest_bytes: int) -> int:
    """The size in bytes of a regular file that is not too large; never blocks, as opening a pipe would.

    Raises:
        OSError: there is none, it is no regular file, or it is larger (``errno.EFBIG``).
    """
    try:
        status = path.stat()
    except ValueError:  # a NUL, or what no file system can hold
        raise OSError(errno.EINVAL, "not the name of a file") from None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
    if status.st_size > largest_bytes:
        raise _too_large(largest_bytes)
    return status.st_size


def read_text(path: Path) -> str:
    """The text of a small file.

    Raises:
        OSError: it cannot be read, is no regular file or is larger than `LARGEST_TEXT_BYTES`.
        ValueError: it is not UTF-8.
    """
    require_regular(path, LARGEST_TEXT_BYTES)
    with path.open("rb") as file:
        content = file.read(LARGEST_TEXT_BYTES + 1)  # it may have grown since, and files in /proc have no size
    if len(content) > LARGEST_TEXT_BYTES:
        raise _too_large(LARGEST_TEXT_BYTES)
    return content.decode("utf-8")


def read_toml(path: Path) -> dict[str, Any]:
    """The table of a small TOML file.

    Raises:
        OSError: as `read_text`.
        ValueError: not UTF-8, not TOML, or nested beyond reason.
    """
    text = read_text(path)
    for number, line in enumerate(text.split("\n"), start=1):  # no key goes on in the next line
        if line.count(".") > _MOST_DOTS and not line.lstrip().startswith("#"):
            raise ValueError(f"more than {_MOST_DOTS} dots in line {number}")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _too_large(largest_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"is larger than {largest_bytes:,} bytes")
