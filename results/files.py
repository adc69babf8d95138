"""Reading the files that a user names: a pipe would block, a device never end, a large file fill the memory.

And writing small ones whole: a reader finds the old text or the new, never a part.
"""

import errno
import os
import stat
from pathlib import Path


def read_text(path: Path, largest_bytes: int) -> str:
    """The text of a regular file that is not too large; a byte order mark is passed over.

    Raises:
        OSError: it cannot be read, is no regular file or is larger.
        ValueError: it is not UTF-8.
    """
    try:
        status = path.stat()
    except ValueError:  # a NUL, or what no file system can hold
        raise OSError(errno.EINVAL, "not the name of a file") from None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file")
    with path.open("rb") as file:
        content = file.read(min(status.st_size, largest_bytes) + 1)
        if len(content) > status.st_size:  # it grew, or does not tell its size
            content += file.read(max(0, largest_bytes + 1 - len(content)))
    if len(content) > largest_bytes:
        raise OSError(errno.EFBIG, f"is larger than {largest_bytes:,} bytes")
    return content.decode("utf-8-sig")


def write_atomically(path: Path, text: str) -> None:
    """Replace a small file's text at once.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
