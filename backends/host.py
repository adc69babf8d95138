"""What every backend may ask of the host: peak memory of this process, a C++ compiler, a device file."""

import os
import resource
import shutil
import sys

from backends.contract import MemoryUse


def peak_resident_memory() -> MemoryUse:
    """Largest resident set of this process since it started, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return MemoryUse(peak_bytes=peak, source="largest resident set of the process")


def cxx_compiler() -> str | None:
    """The C++ compiler that torch.compile would use, or None: ``CXX``, else the usual names on PATH."""
    asked = os.environ.get("CXX")
    return shutil.which(asked) if asked else next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)
