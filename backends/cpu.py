"""torch and jax on the host's processors: the fallback that every machine has."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from backends import rapl
from backends.bases import JaxBackend, TorchBackend
from backends.compile_cache import jax_cache, torch_cache
from backends.contract import Availability, Sampler
from backends.host import available_cpus
from backends.recipe import Recipe
from backends.search_space import SearchSpace
from workloads.spec import Workload

XLA_PRESETS = ("FAST_RUNTIME", "FAST_COMPILE")
"""What ``XLA_FLAGS=--help`` of jaxlib 0.10.2 lists."""


class TorchCpu(TorchBackend):
    """torch on the CPU."""

    name = "torch-cpu"
    device_type = "cpu"
    attentions = ("causal-blocks", "sdpa-master", "sdpa", "product")

    def search_space(self, workload: Workload) -> SearchSpace:
        """Also the library that multiplies, the form of the update, how many threads, and glibc's own allocator."""
        processors = available_cpus()
        return {
            "product_kernel": ("fastest", "matmul", "convolution", "convolution-throughout"),
            **super().search_space(workload),
            "update": ("one-pass", "default"),
            "threads": (None, processors, max(1, processors // 2)),
            "environment": (self.as_is().environment, {}),
        }

    def probe(self) -> Availability:
        """Available wherever torch is installed."""
        return _probe("torch")

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables, the compile cache, and no accelerator visible."""
        return {**recipe.environment, **torch_cache(cache), "CUDA_VISIBLE_DEVICES": ""}

    def samplers(self) -> Sequence[Sampler]:
        """The processors' energy counters."""
        return rapl.samplers()


class JaxCpu(JaxBackend):
    """jax on the CPU."""

    name = "jax-cpu"
    device_type = "cpu"

    def search_space(self, workload: Workload) -> SearchSpace:
        """Also how XLA compiles, and glibc's allocator as it comes."""
        shipped = dict(self.as_is().environment)
        presets = [shipped | {"XLA_FLAGS": f"--xla_cpu_opt_preset=CPU_OPT_PRESET_{name}"} for name in XLA_PRESETS]
        return {**super().search_space(workload), "environment": (shipped, *presets, {})}

    def probe(self) -> Availability:
        """Available wherever jax is installed."""
        return replace(_probe("jax"), process_per_device=False)

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables, the compile cache, and the CPU platform only."""
        return {**recipe.environment, **jax_cache(cache), "JAX_PLATFORMS": "cpu"}

    def samplers(self) -> Sequence[Sampler]:
        """The processors' energy counters."""
        return rapl.samplers()


def _probe(framework: str) -> Availability:
    if find_spec(framework) is not None:
        return Availability(available=True, device_type="cpu", device_count=1)
    return Availability(
        available=False,
        device_type="cpu",
        reason=f"{framework} is not installed",
        fix=f"make setup, or pip install -e '.[{framework}]'",
    )
