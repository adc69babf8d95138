"""Real text shipped with the project, as bytes."""

import bz2
import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workloads.errors import WorkloadError

_FILES = {"king-james-bible": "kjv.txt.bz2"}
"""The King James Bible, one verse a line, without verse numbers. Public domain (1611); source: Debian's bible-kjv."""

_FOLDER = Path(__file__).parent / "corpus"


@lru_cache(maxsize=1)
def corpus_bytes(name: str, sha256: str) -> NDArray[np.uint8]:
    """The bytes of a shipped corpus, uint8 (length,).

    Raises:
        WorkloadError: unknown corpus, or its bytes are not those that the workload names.
    """
    if name not in _FILES:
        raise WorkloadError(f"unknown text {name!r}", f"known: {', '.join(_FILES)}")
    content = bz2.decompress((_FOLDER / _FILES[name]).read_bytes())
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WorkloadError(
            f"text {name!r} has sha256 {found}, the workload says {sha256}", "restore workloads/corpus/"
        )
    return np.frombuffer(content, dtype=np.uint8)
