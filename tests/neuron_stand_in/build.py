"""Compiles the stand-in's device, once for each source and torch: one call of the C++ compiler.

torch is found but not imported: beside this file lies the package that it would load at once, library or not.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

SOURCES = tuple(Path(__file__).with_name(name) for name in ("device.cpp", "core.h"))
_FLAGS = ("-std=c++20", "-O1", "-shared", "-fPIC", "-w")


class NoCompiler(Exception):
    """There is no C++ compiler on this machine."""


def library(cache: Path) -> Path:
    """The compiled device for this torch, from ``cache`` or built into it; blocks for the compiler.

    Raises:
        NoCompiler: neither $CXX nor c++, g++ or clang++ is on the PATH.
        RuntimeError: the compiler rejects the source; its messages.
    """
    target = cache.resolve() / f"neuron_stand_in_{_key()}.so"
    if not target.exists():
        compiler = _compiler()
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            built = Path(folder) / "device.so"
            _compile(compiler, built)
            built.replace(target)
    return target


def _key() -> str:
    parts = (*(source.read_bytes() for source in SOURCES), version("torch").encode(), " ".join(_FLAGS).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _compiler() -> str:
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        found = shutil.which(name) if name else None
        if found is not None:
            return found
    raise NoCompiler("the stand-in for torch_neuronx needs a C++ compiler (c++, g++ or clang++) and there is none")


def _compile(compiler: str, output: Path) -> None:
    spec = find_spec("torch")
    assert spec is not None
    assert spec.origin is not None
    home = Path(spec.origin).parent
    command = [compiler, *_FLAGS, f"-I{home / 'include'}", str(SOURCES[0]), "-o", str(output)]
    command += [f"-L{home / 'lib'}", "-ltorch_cpu", "-lc10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{compiler} cannot compile {SOURCES[0].name}:\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    print(library(Path(sys.argv[1])))
