"""torch-xla on Neuron: what trained on Trainium before the native PyTorch backend, and all that torch has for trn1."""

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from backends.bases import EngineBackend
from backends.contract import Availability, Rank, Rates, Sampler, Session
from backends.neuron import probing
from backends.neuron.packages import XLA_PIP_LINE, installed_version, is_placeholder, is_real, torch_neuronx_kind
from backends.neuron.telemetry import samplers
from backends.recipe import Recipe
from backends.search_space import SearchSpace, micro_batch_sizes
from workloads.spec import Workload

SUPPORT = "out of AWS's support for training since Neuron 2.30"
"""Source: AWS's announcement "no support for PyTorch XLA training", 2026-05."""
Lack = tuple[str, str]
"""A reason, and what would help."""


class TorchXlaNeuron(EngineBackend):
    """torch-xla on Neuron's logical cores, one process for each."""

    name = "torch-xla-neuron"
    device_type = "neuron"
    hardware = "NEURON"
    """What torch-xla must say that the device really is: it falls back to the CPU with a mere warning."""

    def __init__(self, root: Path = Path("/")) -> None:
        """``root``: of the file system that is looked at."""
        self.root = root

    def probe(self) -> Availability:
        """Available with a Neuron device, torch-xla, AWS's plug-in for it, and its compiler."""
        machine = probing.machine(self.root)
        if machine is None:
            return probing.no_chip(self.device_type)
        lack = _missing_software()
        if lack is not None:
            return probing.unavailable(self.device_type, *lack)
        if probing.compiler_folder() is None:
            return probing.no_compiler(self.device_type)
        return probing.available(self.device_type, machine, process_per_device=True, note=SUPPORT)

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables, the compile cache, Neuron and nothing else, and no silent change of precision.

        Raises:
            BackendError: the recipe's compiler flags would change the mathematics or move the cache.
        """
        return {
            **probing.common_variables(recipe.environment),
            "PJRT_DEVICE": self.hardware,
            "NEURON_COMPILE_CACHE_URL": str(cache / "neuron"),
            "XLA_USE_BF16": "0",
            "XLA_DOWNCAST_BF16": "0",
        }

    def search_space(self, workload: Workload) -> SearchSpace:
        """See `backends.search_space`."""
        return {
            "micro_batch_tokens": micro_batch_sizes(workload),
            "rematerialise": (True, False),
            "sharding": ("optimizer", "none"),
        }

    def samplers(self) -> Sequence[Sampler]:
        """Power and activity of the chips."""
        return samplers(self.root)

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> Session:
        """See `backends.contract.Backend.open`."""
        if rank.world_size == 1:  # else torch-xla shares them out by torchrun's variables
            os.environ.setdefault("NEURON_RT_VISIBLE_CORES", "0")
        from backends.neuron.xla_session import XlaSession

        return XlaSession(workload, recipe, self.hardware, rank)

    def rates(self, dtype: str) -> Rates:
        """See `backends.contract.Rates`."""
        os.environ.setdefault("NEURON_RT_VISIBLE_CORES", "0")
        from backends.neuron.xla_device import XlaDevice
        from backends.rates_torch import TorchRates

        return TorchRates(XlaDevice(self.hardware), dtype)


def _missing_software() -> Lack | None:
    """The first thing that is not there; imports nothing."""
    kind = torch_neuronx_kind()
    if kind == "native":
        found = installed_version("torch-neuronx") or "of unknown version"
        return f"torch-neuronx {found} is the native one, not the one on torch-xla", _apart()
    if kind == "placeholder":
        return "torch-neuronx is AWS's placeholder from the public index", XLA_PIP_LINE
    if kind is None:
        return "torch-neuronx (the 2.9 line, on torch-xla) is not installed", XLA_PIP_LINE
    if find_spec("torch_xla") is None:
        return "torch_xla is not installed", XLA_PIP_LINE
    if not is_real("libneuronxla"):
        what = "AWS's placeholder from the public index" if is_placeholder("libneuronxla") else "not installed"
        return f"libneuronxla, torch-xla's plug-in for Neuron, is {what}", XLA_PIP_LINE
    return None


def _apart() -> str:
    return f"in an environment of its own: {XLA_PIP_LINE}"
