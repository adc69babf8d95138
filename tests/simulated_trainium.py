"""A trn2.3xlarge that is not there: device files, AWS's tools, the stand-ins for its packages, our own backends on it.

The backends are those that ship, as a plug-in would declare them: only where the machine's files are is different, and
that their runs are marked simulated.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import neuron_tree
import pytest
from neuron_stand_in.process import HERE, built

from backends.neuron.jax_platform import JaxNeuron
from backends.neuron.native import TorchNeuron
from backends.recipe import Recipe, shipped_recipe

ROOT = "FAIRCHIP_SIMULATED_ROOT"
TORCH, JAX = "torch-neuron-simulated", "jax-neuron-simulated"


class SimulatedTorchNeuron(TorchNeuron):
    """`torch-neuron` on the stand-in."""

    name = TORCH
    simulated = True

    def __init__(self) -> None:
        self.root = Path(os.environ[ROOT])

    def as_is(self) -> Recipe:
        return shipped_recipe(TorchNeuron.name)


class SimulatedJaxNeuron(JaxNeuron):
    """`jax-neuron` with another platform's name injected: jax's CPU, divided into as many devices as a chip has."""

    name = JAX
    device_type = "cpu"
    simulated = True

    def __init__(self) -> None:
        self.root = Path(os.environ[ROOT])

    def as_is(self) -> Recipe:
        return shipped_recipe(JaxNeuron.name)


def release_of(package: str) -> str:
    """2.14 of an installed 2.14.1."""
    return ".".join(version(package).split(".")[:2])


@contextmanager
def simulated_trainium(folder: Path) -> Iterator[pytest.MonkeyPatch]:
    """This process and those that it starts are on such a machine; skips where the stand-in cannot be built."""
    stand_in = built()
    site = folder / "site-packages"
    _distributions(site)
    path = [str(part) for part in (site, HERE, Path(__file__).parent)]
    with pytest.MonkeyPatch.context() as patch:
        for part in reversed(path):
            patch.syspath_prepend(part)
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        patch.setenv("PATH", f"{HERE / 'bin'}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        patch.setenv("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")  # for us; the backend switches it on for its workers
        patch.setenv("NEURON_STAND_IN_LIBRARY", str(stand_in))
        patch.setenv(ROOT, str(neuron_tree.trn2_3xlarge(folder / "machine")))
        neuron_tree.neuron_monitor(folder / "machine", [neuron_tree.record([neuron_tree.runtime({})])] * 3)
        yield patch


def _distributions(site: Path) -> None:
    """The plug-in; the stand-in, as a release for the torch that is here; and AWS's plug-in for jax by name."""
    backends = (
        "[fairchip.backends]\n"
        f"{TORCH} = simulated_trainium:SimulatedTorchNeuron\n"
        f"{JAX} = simulated_trainium:SimulatedJaxNeuron\n"
    )
    _distribution(site, "fairchip-simulated-trainium", "1.0", backends)
    (declared,) = HERE.glob("torch_neuronx-*.dist-info/entry_points.txt")
    _distribution(site, "torch-neuronx", f"{release_of('torch')}.3.0", declared.read_text())
    (site / "libneuronxla").mkdir()
    (site / "libneuronxla/__init__.py").write_text("")


def _distribution(site: Path, name: str, release: str, entry_points: str) -> None:
    info = site / f"{name.replace('-', '_')}-{release}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n")
    (info / "entry_points.txt").write_text(entry_points)
