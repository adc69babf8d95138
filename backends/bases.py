"""What every backend on our two engines shares: the shipped recipe, no samplers, and the engine opened late.

A device that torch or jax already reaches by name adds `name`, `device_type`, `probe` and `environment`.
The engine, and with it the framework, is imported when a session opens, not before.
"""

from collections.abc import Callable, Mapping, Sequence

from backends.contract import Rank, Rates, Sampler, Session
from backends.profiles import Operation
from backends.recipe import Recipe, shipped_for_precision, shipped_recipe
from backends.search_space import SearchSpace, micro_batch_sizes, part_sizes, product_types
from workloads.spec import Workload


class EngineBackend:
    """Common to both engines."""

    name: str
    device_type: str
    """As the framework names it: "cpu", "cuda", "xpu", "neuron", ..."""
    questions: str | None = None
    """Module to run with `python -m` that asks the device what its documentation leaves open, for `doctor --deep`."""

    def recipes(self, workload: Workload) -> Mapping[str, Recipe]:
        """The shipped recipe, ``as-is``."""
        return {"as-is": shipped_for_precision(self.name, workload.precision) or self.as_is()}

    def as_is(self) -> Recipe:
        """The recipe, its micro-batch still open; a plug-in returns its own."""
        return shipped_recipe(self.name)

    def samplers(self) -> Sequence[Sampler]:
        """None: the runner samples the host; the device's energy and clocks stay unknown and are shown so."""
        return ()


class TorchBackend(EngineBackend):
    """A device that torch reaches by name."""

    attentions: Sequence[str] = ("sdpa", "sdpa-repeated", "product")
    """Worth a trial on such a device; the engine's model knows them."""

    def search_space(self, workload: Workload) -> SearchSpace:
        """See `backends.search_space`."""
        return {
            "products": product_types(workload),
            "attention": self.attentions,
            "compile": ("whole", "parts", "off"),
            "micro_batch_tokens": micro_batch_sizes(workload),
            "loss_part_tokens": part_sizes(workload),
            "loss": ("cross-entropy", "closed-form", "logsumexp"),
            "rematerialise": (False, "between-products", True),
        }

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> Session:
        """See `backends.contract.Backend.open`."""
        from backends.engine_torch import TorchSession

        return TorchSession(workload, recipe, self.device_type, rank)

    def rates(self, dtype: str) -> Rates:
        """See `backends.contract.Rates`."""
        from backends.rates_torch import TorchRates

        return TorchRates(self.device_type, dtype)

    def profile(self, run: Callable[[], None]) -> Sequence[Operation]:
        """What ``run``, which blocks until the device is done, does there; for `python -m bench.step_profile`."""
        from backends.profile_torch import operations

        return operations(run, self.device_type)


class JaxBackend(EngineBackend):
    """A platform that jax reaches by name."""

    attentions: Sequence[str] = ("product", "causal-blocks", "sdpa")
    """Worth a trial on such a device; the engine's model knows them."""

    def search_space(self, workload: Workload) -> SearchSpace:
        """See `backends.search_space`."""
        return {
            "products": product_types(workload),
            "attention": self.attentions,
            "micro_batch_tokens": micro_batch_sizes(workload),
            "loss_part_tokens": part_sizes(workload),
            "layers": ("unrolled", "scan"),
            "loss": ("cross-entropy", "masked"),
            "rematerialise": (False, "between-products", True),
        }

    def open(self, workload: Workload, recipe: Recipe, rank: Rank) -> Session:
        """See `backends.contract.Backend.open`."""
        from backends.engine_jax import JaxSession

        return JaxSession(workload, recipe, self.device_type, rank)

    def rates(self, dtype: str) -> Rates:
        """See `backends.contract.Rates`."""
        from backends.rates_jax import JaxRates

        return JaxRates(self.device_type, dtype)

    def profile(self, run: Callable[[], None]) -> Sequence[Operation]:
        """What ``run``, which blocks until the device is done, does there; for `python -m bench.step_profile`."""
        from backends.profile_jax import operations

        return operations(run)
