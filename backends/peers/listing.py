"""The peers by name: which trainer, on the framework and device of which backend of ours. Imports no framework."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from backends.bases import EngineBackend
from backends.contract import Availability, Backend, Rank, Sampler, Session
from backends.cpu import JaxCpu, TorchCpu
from backends.cuda import JaxCuda, TorchCuda
from backends.recipe import Recipe
from workloads.spec import Workload

AS_SHIPPED = "as-shipped"
"""The recipe without our environment: what the peer's users get."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A trainer that is no backend of ours; offers what `backends.contract.Backend` does."""

    name: str
    ours: Backend
    """Our backend on the same framework and device."""
    device_type: str
    """As the framework names it."""
    session: str
    """Module and class of its session, imported when one opens."""
    packages: tuple[str, ...] = ()
    """What must be importable beside the framework."""

    def probe(self) -> Availability:
        """Available where our backend is and its own packages are installed."""
        found = self.ours.probe()
        missing = [name for name in self.packages if find_spec(name) is None]
        if found.available and missing:
            return replace(found, available=False, reason=f"{', '.join(missing)} not installed", fix="make peers")
        return replace(found, device_count=min(1, found.device_count))

    def recipes(self, workload: Workload) -> Mapping[str, Recipe]:
        """``as-is`` has the environment and micro-batch of our own recipe; ``as-shipped`` has no environment."""
        own = self.ours.recipes(workload)["as-is"]
        same = Recipe(
            attention="its-own",
            loss="its-own",
            micro_batch=own.micro_batch,
            micro_batch_tokens=own.micro_batch_tokens,
            environment=own.environment,
        )
        return {"as-is": same, AS_SHIPPED: replace(same, name=AS_SHIPPED, environment={})}

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """As for our backend."""
        return self.ours.environment(recipe, cache)

    def samplers(self) -> Sequence[Sampler]:
        """As of our backend."""
        return self.ours.samplers()

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> Session:
        """See `backends.contract.Backend.open`."""
        module, _, name = self.session.partition(":")
        opened: Session = getattr(import_module(module), name)(workload, recipe, self.device_type, rank)
        return opened


def transformers_cpu() -> Peer:
    """Hugging Face transformers on the CPU."""
    return _transformers(TorchCpu())


def transformers_cuda() -> Peer:
    """Hugging Face transformers on an Nvidia GPU."""
    return _transformers(TorchCuda())


def torchtitan_cpu() -> Peer:
    """The torchtitan Llama on the CPU."""
    return _torchtitan(TorchCpu())


def torchtitan_cuda() -> Peer:
    """The torchtitan Llama on an Nvidia GPU."""
    return _torchtitan(TorchCuda())


def one_file_cpu() -> Peer:
    """A single file in nanoGPT's manner, on the CPU."""
    return _one_file(TorchCpu())


def one_file_cuda() -> Peer:
    """A single file in nanoGPT's manner, on an Nvidia GPU."""
    return _one_file(TorchCuda())


def flax_nnx_cpu() -> Peer:
    """The flax nnx Llama on the CPU."""
    return _flax_nnx(JaxCpu())


def flax_nnx_cuda() -> Peer:
    """The flax nnx Llama on an Nvidia GPU."""
    return _flax_nnx(JaxCuda())


def _transformers(ours: EngineBackend) -> Peer:
    return _peer("transformers", ours, "transformers_llama:TransformersSession", "transformers")


def _torchtitan(ours: EngineBackend) -> Peer:
    """It imports triton on every machine."""
    return _peer("torchtitan", ours, "torchtitan_llama:TorchtitanSession", "torchtitan", "triton")


def _one_file(ours: EngineBackend) -> Peer:
    return _peer("one-file", ours, "one_file_llama:OneFileSession")


def _flax_nnx(ours: EngineBackend) -> Peer:
    return _peer("flax-nnx", ours, "flax_llama:FlaxSession", "flax", "optax")


def _peer(trainer: str, ours: EngineBackend, session: str, *packages: str) -> Peer:
    device_type = ours.device_type
    assert isinstance(ours, Backend)
    return Peer(
        name=f"{trainer}-{device_type}",
        ours=ours,
        device_type=device_type,
        session=f"backends.peers.{session}",
        packages=packages,
    )
