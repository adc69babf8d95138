"""Reading the files that a user names: a pipe would block, a device never end, a large file fill the memory."""

import errno
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
        content = file.read(largest_bytes + 1)
    if len(content) > largest_bytes:
        raise OSError(errno.EFBIG, f"is larger than {largest_bytes:,} bytes")
    return content.decode("utf-8-sig")
