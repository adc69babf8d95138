"""torch-xla on the CPU, so that all but the hardware of ``torch-xla-neuron`` can be tested; see `make test-xla`."""

import os

import pytest

from backends.contract import Availability
from backends.neuron.xla_backend import TorchXlaNeuron
from backends.recipe import Recipe, shipped_recipe


class XlaOnCpu(TorchXlaNeuron):
    """The same with the hardware that every machine has; a measurement of nothing."""

    name = "torch-xla-cpu"
    device_type = "cpu"
    hardware = "CPU"
    simulated = True

    def probe(self) -> Availability:
        return Availability(available=True, device_type="cpu", device_count=1)

    def as_is(self) -> Recipe:
        return shipped_recipe("torch-xla-neuron")


def require_torch_xla() -> None:
    """Skip the whole file but in the environment that was made for it.

    The device is opened at once: one that torch comes to know after its first backward pass has no queue for any.
    """
    if os.environ.get("PJRT_DEVICE") != "CPU":
        pytest.skip("needs torch-xla on the CPU: make test-xla", allow_module_level=True)
    torch_xla = pytest.importorskip("torch_xla", reason="torch-xla is not installed: make test-xla")
    torch_xla.device()
