"""torch on Trainium 2 and 3 through TorchNeuron, PyTorch's native device `neuron` (AWS Neuron SDK 2.33, public beta).

Written against AWS's documentation and measurements that third parties published; docs/trainium.md says which call
was exercised on what.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from backends.bases import TorchBackend
from backends.contract import Availability, Rank, Rates, Sampler, Session
from backends.neuron import probing
from backends.neuron.packages import INDEX, installed_version, torch_neuronx_kind
from backends.neuron.telemetry import samplers
from backends.recipe import Recipe
from workloads.spec import Workload

INSTALL = f"pip install 'torch-neuronx==2.14.*' 'neuronx-cc==2.*' nki --extra-index-url {INDEX}"
SUPPORT = "public beta since Neuron 2.33"
CHIPS = ("Trainium2", "Trainium3")


class TorchNeuron(TorchBackend):
    """torch on logical NeuronCores, a process each."""

    name = "torch-neuron"
    device_type = "neuron"
    attentions = ("sdpa-contiguous", "product")
    questions = "backends.neuron.questions"
    root = Path("/")
    """Where the machine's files are."""

    def probe(self) -> Availability:
        """Available with a Trainium 2 or 3, the native package, the torch that it was built for, and the compiler."""
        machine = probing.machine(self.root)
        if machine is None:
            return probing.no_chip(self.device_type)
        if machine.chip not in CHIPS:
            reason = f"TorchNeuron runs on {' and '.join(CHIPS)}; this is {machine.chip or 'an unknown chip'}"
            return self._no(reason, "use jax-neuron")
        fault = _package_fault()
        if fault:
            return self._no(fault, INSTALL)
        if probing.compiler_folder() is None:
            return probing.no_compiler(self.device_type)
        return probing.available(self.device_type, machine, process_per_device=True, note=SUPPORT)

    def _no(self, reason: str, fix: str) -> Availability:
        return probing.unavailable(self.device_type, reason, fix)

    def recipes(self, workload: Workload) -> Mapping[str, Recipe]:
        """As shipped, the whole model as one graph, and eager: one chip spans 20x between them."""
        shipped = self.as_is()
        return {
            "as-is": shipped,
            "whole-graph": replace(shipped, name="whole-graph", track="custom", compile="whole", loss_part_tokens=None),
            "eager": replace(shipped, name="eager", track="custom", compile="off"),
        }

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables; a cache of its own; and no way to run elsewhere than on the chip unseen."""
        return {
            **probing.common_variables(recipe.environment),
            "TORCH_DEVICE_BACKEND_AUTOLOAD": "1",
            "TORCH_NEURONX_NEFF_CACHE_DIR": str(cache / "neff"),
            "TORCH_NEURONX_NEFF_LOCAL_CACHE_DIR": str(cache / "neff-local"),
            "TORCH_NEURONX_DEBUG_DIR": str(cache / "debug"),
            "TORCH_NEURONX_METRICS_DIR": str(cache / "metrics"),
            "NKI_COMPILE_CACHE_URL": str(cache / "nki"),
            "TORCH_NEURONX_DISABLE_FALLBACK_EXECUTION": "1",
            "TORCH_NEURONX_DYNAMO_DISABLE_CPU_AUTOCOPY": "1",
            "NEURON_LAUNCH_BLOCKING": "0",
        }

    def samplers(self) -> Sequence[Sampler]:
        """Power in percent of an unpublished maximum, and neuron-monitor."""
        return samplers(self.root)

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> Session:
        """See `backends.contract.Backend.open`."""
        from backends.engine_torch import TorchSession
        from backends.neuron.native_device import NeuronDevice

        return TorchSession(workload, recipe, NeuronDevice(self.root, near=recipe.near_device), rank)

    def rates(self, dtype: str) -> Rates:
        """See `backends.contract.Rates`."""
        from backends.neuron.native_device import NeuronDevice
        from backends.rates_torch import TorchRates

        return TorchRates(NeuronDevice(self.root), dtype)


def _package_fault() -> str | None:
    """What is wrong with the installed packages, or None."""
    torch, neuronx = installed_version("torch"), installed_version("torch-neuronx")
    kind = torch_neuronx_kind()
    if torch is None:
        return "torch is not installed"
    if kind is None:
        return "torch-neuronx is not installed"
    if kind == "placeholder":
        return "torch-neuronx is the placeholder of the public index, not AWS's package"
    if kind == "xla":
        return f"torch-neuronx version {neuronx} is the older package on torch-xla, without the device neuron"
    if neuronx and _release(neuronx) != _release(torch):
        return f"torch-neuronx version {neuronx} is for torch {_release(neuronx)}, and torch is {torch}"
    return None


def _release(version: str) -> str:
    """2.14 from 2.14.3.0."""
    return ".".join(version.split(".")[:2])
