"""jax on Trainium through AWS's plug-in (jax-neuronx, libneuronxla): platform `neuron`, listed for trn1, trn2 and trn3.

The known limits of the plug-in are kept: the step draws no random numbers, calls back no host function and branches on
no value; what is random is made on the host in workloads/.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from backends.bases import JaxBackend
from backends.contract import Availability, Rank, Rates, Sampler, Scalar, Session
from backends.neuron import probing
from backends.neuron.packages import INDEX, installed_version, is_placeholder, is_real
from backends.neuron.telemetry import samplers
from backends.recipe import Recipe
from workloads.spec import Workload

INSTALL = f"pip install 'jax-neuronx[stable]>=0.7' --extra-index-url {INDEX}"
SUPPORT = "beta"
OLDEST_JAX, NEWEST_JAX = (0, 7), (0, 10)
"""JAX NeuronX 0.10.0.1.0 (Neuron 2.33, component release notes): JAX 0.7.0 to 0.10.0."""


class JaxNeuron(JaxBackend):
    """jax on logical NeuronCores, all driven by one process."""

    name = "jax-neuron"
    device_type = "neuron"
    attentions = ("product", "causal-blocks")
    root = Path("/")
    """Where the machine's files are."""

    def probe(self) -> Availability:
        """Available with a Neuron device, AWS's plug-in, a jax that it supports, and the compiler."""
        machine = probing.machine(self.root)
        if machine is None:
            return probing.no_chip(self.device_type)
        fault = _package_fault()
        if fault:
            return probing.unavailable(self.device_type, fault, INSTALL)
        if probing.compiler_folder() is None:
            return probing.no_compiler(self.device_type)
        return probing.available(self.device_type, machine, process_per_device=False, note=SUPPORT)

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables, the Neuron platform only, and the plug-in's cache; jax's own is not used."""
        return {
            **probing.common_variables(recipe.environment),
            "JAX_PLATFORMS": self.device_type,
            "JAX_DEFAULT_PRNG_IMPL": "rbg",
            "NEURON_COMPILE_CACHE_URL": str(cache / "neuron"),
            "NEURON_RUN_TRIVIAL_COMPUTATION_ON_CPU": "0",
        }

    def samplers(self) -> Sequence[Sampler]:
        """Power in percent of an unpublished maximum, and neuron-monitor."""
        return samplers(self.root)

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> Session:
        """See `backends.contract.Backend.open`. Takes the first cores only, so that the others stay free."""
        os.environ.setdefault("NEURON_RT_VISIBLE_CORES", f"0-{rank.devices - 1}" if rank.devices > 1 else "0")
        from backends.engine_jax import JaxSession

        machine = probing.machine(self.root)
        facts: dict[str, Scalar] = {
            "visible_cores": os.environ["NEURON_RT_VISIBLE_CORES"],
            "libneuronxla_version": installed_version("libneuronxla"),
            "support": SUPPORT,
            **probing.facts(machine),
            **({"device_name": machine.chip} if machine and machine.chip else {}),
        }
        memory = machine.memory_bytes_per_logical_core if machine else None
        return JaxSession(workload, recipe, self.device_type, rank, facts, memory)

    def rates(self, dtype: str) -> Rates:
        """See `backends.contract.Rates`."""
        os.environ.setdefault("NEURON_RT_VISIBLE_CORES", "0")
        return super().rates(dtype)


def _package_fault() -> str | None:
    """What is wrong with the installed packages, or None."""
    jax = installed_version("jax")
    if jax is None:
        return "jax is not installed"
    if is_placeholder("libneuronxla"):
        return "libneuronxla is the placeholder of the public index, not AWS's package"
    if not is_real("libneuronxla"):
        return "libneuronxla, AWS's plug-in for jax, is not installed"
    release = tuple(map(int, jax.split(".")[:2]))
    if not OLDEST_JAX <= release <= NEWEST_JAX:
        return f"jax {jax} is not supported by AWS's plug-in, which takes 0.7 to 0.10"
    return None
