"""torch-xla on Neuron: what trained on Trainium before the native PyTorch backend, and all that torch has for trn1."""

import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from backends.bases import EngineBackend
from backends.contract import Availability, Rank, Sampler, Session
from backends.errors import BackendError
from backends.neuron.machine import read_machine
from backends.neuron.packages import XLA_PIP_LINE, installed_version, is_placeholder, is_real, torch_neuronx_kind
from backends.neuron.telemetry import samplers
from backends.recipe import Recipe
from workloads.spec import Workload

SUPPORT = "out of AWS's support for training since Neuron 2.30"
"""Source: AWS's announcement "no support for PyTorch XLA training", 2026-05."""
AUTO_CAST = "--auto-cast=none"
"""Neuron's pages contradict each other on the compiler's default, so it is always given."""

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
        """Available with a Neuron device, torch-xla, AWS's plug-in for it, and its compiler on PATH."""
        machine = read_machine(self.root)
        if machine is None:
            return self._lacks("no Neuron device: /dev has no neuron device", "run on a trn1 or trn2 instance")
        lack = _missing_software()
        if lack is not None:
            return self._lacks(*lack)
        cores = machine.logical_cores_per_chip
        if cores is None:
            return self._lacks(
                "nothing tells how many logical cores a chip has",
                "install aws-neuronx-tools, whose neuron-ls tells, or set NEURON_LOGICAL_NC_CONFIG",
            )
        return Availability(
            available=True,
            device_type=self.device_type,
            device_count=cores * len(machine.chips),
            devices_per_chip=cores,
            note=SUPPORT,
        )

    def _lacks(self, reason: str, fix: str) -> Availability:
        return Availability(available=False, device_type=self.device_type, reason=reason, fix=fix)

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables, the compile cache, Neuron and nothing else, and no silent change of precision.

        Raises:
            BackendError: the recipe's compiler flags would change the mathematics or move the cache.
        """
        return {
            **recipe.environment,
            "PJRT_DEVICE": self.hardware,
            "NEURON_CC_FLAGS": compiler_flags(recipe.environment.get("NEURON_CC_FLAGS", "")),
            "NEURON_COMPILE_CACHE_URL": str(cache / "neuron"),
            "NEURON_RT_STOCHASTIC_ROUNDING_EN": "0",
            "XLA_USE_BF16": "0",
            "XLA_DOWNCAST_BF16": "0",
        }

    def samplers(self) -> Sequence[Sampler]:
        """Power and activity of the chips."""
        return samplers(self.root)

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> Session:
        """See `backends.contract.Backend.open`."""
        from backends.neuron.xla_session import XlaSession

        return XlaSession(workload, recipe, self.hardware, rank)


def compiler_flags(asked: str) -> str:
    """A recipe's flags for neuronx-cc with ``--auto-cast=none`` among them.

    Raises:
        BackendError: they ask for another cast, or for a cache of their own, which would make cold starts warm.
    """
    words = asked.split()
    for word in words:
        if word.startswith("--auto-cast") and word != AUTO_CAST:
            raise BackendError(f"NEURON_CC_FLAGS has {word}, which changes the precision", f"write {AUTO_CAST}")
        if word.startswith("--cache_dir"):
            raise BackendError("NEURON_CC_FLAGS has --cache_dir, but each suite has its own cache", "leave it out")
    return " ".join(words if AUTO_CAST in words else [*words, AUTO_CAST])


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
    if shutil.which("neuronx-cc") is None:
        return "neuronx-cc is not on PATH; without it the first operation hangs", _compiler_fix()
    return None


def _apart() -> str:
    return f"in an environment of its own: {XLA_PIP_LINE}"


def _compiler_fix() -> str:
    """It lies beside the interpreter of the environment that has it, which need not be active."""
    return f"activate the environment that has it, or {XLA_PIP_LINE}"
