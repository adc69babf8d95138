"""AWS's placeholders as the public index serves them: `make test-placeholders` fetches them first."""

import os
from pathlib import Path

import neuron_tree
import pytest

from backends.neuron.jax_platform import JaxNeuron
from backends.neuron.native import TorchNeuron
from backends.neuron.packages import is_placeholder, is_real, torch_neuronx_kind
from backends.neuron.xla_backend import TorchXlaNeuron

FOLDER = os.environ.get("FAIRCHIP_PLACEHOLDERS")

pytestmark = pytest.mark.skipif(not FOLDER, reason="needs the network: make test-placeholders")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trn2.3xlarge on which somebody typed `pip install torch-neuronx jax-neuronx neuronx-cc`."""
    assert FOLDER
    monkeypatch.syspath_prepend(FOLDER)
    return neuron_tree.trn2_3xlarge(tmp_path)


@pytest.mark.parametrize("name", ["torch-neuronx", "jax-neuronx", "libneuronxla", "neuronx-cc", "nki"])
def test_every_placeholder_is_known_for_one(name: str, machine: Path) -> None:
    assert is_placeholder(name)
    assert not is_real(name)


@pytest.mark.parametrize("kind", [TorchNeuron, JaxNeuron, TorchXlaNeuron])
def test_no_backend_takes_them_for_the_real_ones(kind: type[TorchNeuron], machine: Path) -> None:
    backend = kind()
    backend.root = machine
    found = backend.probe()
    assert not found.available
    assert "placeholder" in found.reason
    assert "pip.repos.neuron.amazonaws.com" in found.fix
    assert torch_neuronx_kind() == "placeholder"
