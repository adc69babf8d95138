"""Runs programs against the stand-in, each in a process of its own: a process registers its device once."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from neuron_stand_in.build import NoCompiler, library

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]

thorough = pytest.mark.skipif(not os.environ.get("FAIRCHIP_STAND_IN"), reason="takes minutes: make test-stand-in")
"""What the other tests on the stand-in would notice too, if it went wrong."""


def built() -> Path:
    """The compiled device, built once for each source and torch; skips the test where there is no C++ compiler."""
    try:
        return library(PROJECT / ".cache/neuron_stand_in")
    except NoCompiler as error:
        pytest.skip(str(error))


def variables(library: Path, neff_cache: Path, *, faults: Iterable[str] = (), **settings: object) -> dict[str, str]:
    """The environment in which ``import torch`` finds the stand-in.

    ``settings`` are its own variables without the prefix, in lower case: ``op_seconds=0.01``.
    """
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(HERE), str(PROJECT))),
        "PATH": os.pathsep.join((str(HERE / "bin"), os.environ.get("PATH", ""))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TORCH_NEURONX_NEFF_CACHE_DIR": str(neff_cache),
        "NEURON_STAND_IN_LIBRARY": str(library),
        "NEURON_STAND_IN_FAULTS": ",".join(faults),
        **{f"NEURON_STAND_IN_{name.upper()}": str(value) for name, value in settings.items()},
    }


def run(environment: dict[str, str], *arguments: str, timeout: float = 120) -> str:
    """What a Python program with these arguments prints; blocks.

    Raises:
        AssertionError: it fails; with its messages.
        subprocess.TimeoutExpired: it does not end.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
