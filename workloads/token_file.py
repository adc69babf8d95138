"""Flat files of uint16 or uint32 token ids, as nanoGPT and llm.c write them.

nanoGPT's have no header; llm.c's begin with 256 int32 (magic number, version, number of tokens, zeros),
which are recognised and skipped.
"""

import errno
import hashlib
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workloads.errors import WorkloadError
from workloads.files import require_regular
from workloads.spec import Data

TokenType = Literal["uint16", "uint32"]
LARGEST_FILE_BYTES = 2**36
"""64 GiB: hashing more takes longer than a measurement, which reads but a part of it."""
_BLOCK_BYTES = 2**24

_LLMC_HEADER_BYTES = 1024
_LLMC_MAGIC = (20240520, 20240801)
"""First int32 of llm.c's files of uint16 and of uint32 tokens (llm.c, dev/data/data_common.py)."""


def token_file_data(path: Path, dtype: TokenType, vocab_size: int) -> Data:
    """The data specification of a token file. Reads it once, whole: its sha256 and its largest id.

    Raises:
        WorkloadError: unreadable, empty or too large, not whole tokens, or an id outside the vocabulary.
    """
    _require_text(path)
    try:
        digest, largest = _scan(path, np.dtype(dtype))
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from None
    if largest >= vocab_size:
        hint = f"the file needs a vocabulary of {largest + 1} or more, or is not {dtype}"
        raise WorkloadError(f"{path}: holds token {largest}, the vocabulary has {vocab_size}", hint)
    return Data(kind="tokens", sha256=digest, dtype=dtype, path=str(path))


def open_tokens(data: Data) -> NDArray[np.uint16] | NDArray[np.uint32]:
    """The ids of a token file, memory-mapped (length,).

    Raises:
        WorkloadError: the specification has no path on this machine, or the file cannot be mapped.
    """
    if data.path is None:
        raise WorkloadError("this workload's token file is not on this machine", "name it with --data FILE.bin")
    try:
        require_regular(Path(data.path), LARGEST_FILE_BYTES)
        offset = _header_bytes(Path(data.path))
        return np.memmap(data.path, dtype=np.dtype(data.dtype or "uint16"), mode="r", offset=offset)
    except (OSError, ValueError) as error:
        raise _unusable(Path(data.path), error) from None


def _require_text(path: Path) -> None:
    """The path goes to workers as JSON, which has no bytes that are not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise WorkloadError(f"{path}: the name is not UTF-8", "rename the file, or give a link to it") from None


def _unusable(path: Path, error: OSError | ValueError) -> WorkloadError:
    said, too_large = str(error), False
    if isinstance(error, OSError):
        said, too_large = error.strerror or said, error.errno == errno.EFBIG
    hint = f"cut it: head -c {LARGEST_FILE_BYTES} FILE > SMALLER" if too_large else "give a file of token ids"
    return WorkloadError(f"{path}: {said}", hint)


def _scan(path: Path, dtype: "np.dtype[np.generic]") -> tuple[str, int]:
    size = require_regular(path, LARGEST_FILE_BYTES)
    header = _header_bytes(path)
    size -= header
    if size <= 0 or size % dtype.itemsize:
        raise WorkloadError(f"{path}: {size} bytes is not a whole number of {dtype} tokens", "is the file cut short?")
    sha256, largest = hashlib.sha256(), 0
    with path.open("rb") as file:
        sha256.update(file.read(header))
        while block := file.read(min(size, _BLOCK_BYTES)):  # no more than was promised: it may grow meanwhile
            size -= len(block)
            sha256.update(block)
            largest = max(largest, int(np.frombuffer(block, dtype=dtype).max()))
    return sha256.hexdigest(), largest


def _header_bytes(path: Path) -> int:
    with path.open("rb") as file:
        start = file.read(_LLMC_HEADER_BYTES)
    known = len(start) == _LLMC_HEADER_BYTES and int.from_bytes(start[:4], "little", signed=True) in _LLMC_MAGIC
    return _LLMC_HEADER_BYTES if known else 0
