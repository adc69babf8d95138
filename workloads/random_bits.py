"""Random numbers that are the same bits on every machine, numpy version and processor.

numpy keeps the raw stream of `Philox` stable for ever, but not that of `Generator`'s distributions, and
the last bit of `log` or `cos` differs between processors. So only raw bits and whole-number arithmetic
are used here.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def raw_bits(seed: int, name: str, count: int) -> NDArray[np.uint64]:
    """``count`` uint64 of the stream that belongs to a seed and a name."""
    key = np.frombuffer(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16], dtype="<u8")
    return np.random.Philox(key=key.astype(np.uint64)).random_raw(count)


def whole_numbers(seed: int, name: str, count: int, below: int) -> NDArray[np.int64]:
    """``count`` int64 in [0, below), uniform to within below / 2^64."""
    return (raw_bits(seed, name, count) % np.uint64(below)).astype(np.int64)


def normal_like(seed: int, name: str, count: int, std: float) -> NDArray[np.float32]:
    """``count`` float32 of mean 0 and the given standard deviation, nearly normal.

    Each is the sum of four uniform 16-bit numbers (Irwin-Hall, excess kurtosis -0.3, largest 3.46 std).
    Costs about 50 bytes of host memory per number while it runs.
    """
    words = raw_bits(seed, name, count).view(np.uint16).reshape(count, 4)
    centred = words.sum(axis=1, dtype=np.int32) - 2 * (2**16 - 1)
    scale = std / np.sqrt(4 * (2.0**32 - 1) / 12)
    return (centred * scale).astype(np.float32)
