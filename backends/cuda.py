"""torch and jax on one Nvidia GPU: thin devices on the same engines as the CPU's."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path

from backends import nvml
from backends.bases import JaxBackend, TorchBackend
from backends.compile_cache import jax_cache, torch_cache
from backends.contract import Availability, Sampler
from backends.host import accelerators
from backends.recipe import Recipe
from backends.search_space import SearchSpace
from workloads.spec import Workload

_DEVICES = Path("/dev")
HOPPER = re.compile(r"\b(H20|H100|H200|H800|GH200)\b")
"""Cards on which cuDNN's attention is 1.7 to 2.3 times as fast in training as torch's first choice, FlashAttention; on
Ampere and Blackwell it is slower (huggingface/transformers pull request 48163, 2026-08: others' measurements)."""
_EVERYWHERE = {"NVIDIA_TF32_OVERRIDE": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
"""No TF32 in any library, and CUDA's numbers of the GPUs are the driver's."""


class TorchCuda(TorchBackend):
    """torch on one CUDA device."""

    name = "torch-cuda"
    device_type = "cuda"
    attentions = ("sdpa", "sdpa-cudnn-first", "sdpa-flash", "sdpa-efficient", "sdpa-repeated")
    root = Path("/")
    """Where the machine's files are."""

    def probe(self) -> Availability:
        """Available with a GPU and a CUDA build of torch."""
        return _probe("torch", _torch_has_cuda, "install a CUDA build of torch")

    def recipes(self, workload: Workload) -> Mapping[str, Recipe]:
        """As shipped; on Hopper, where torch by itself would take a slower one, cuDNN's attention is preferred."""
        shipped = super().recipes(workload)["as-is"]
        cards = accelerators(self.root)
        if shipped.attention == "sdpa" and cards and all(HOPPER.search(name) for name in cards):
            shipped = replace(shipped, attention="sdpa-cudnn-first")
        return {"as-is": shipped}

    def search_space(self, workload: Workload) -> SearchSpace:
        """Also how hard torch's compiler tries, CUDA graphs, and how parameters are updated."""
        modes = ("default", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
        return {**super().search_space(workload), "compile_mode": modes, "update": ("default", "one-pass")}

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables and the compile cache; TF32 off everywhere."""
        return {**recipe.environment, **torch_cache(cache), **_EVERYWHERE}

    def samplers(self) -> Sequence[Sampler]:
        """The driver's management library, for each GPU that a worker sees."""
        return nvml.samplers(gpu_count())


class JaxCuda(JaxBackend):
    """jax on one CUDA device."""

    name = "jax-cuda"
    device_type = "cuda"
    attentions = ("sdpa-cudnn", "sdpa", "product", "causal-blocks")

    def probe(self) -> Availability:
        """Available with a GPU and jax's CUDA plug-in."""
        fix = "pip install -U 'jax[cuda13]' (or cuda12 for drivers before 580)"
        return replace(_probe("jax", _jax_has_cuda, fix), process_per_device=False)

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables, the compile cache, and the CUDA platform only; TF32 off everywhere."""
        return {
            **recipe.environment,
            **jax_cache(cache),
            "JAX_PLATFORMS": "cuda",
            **_EVERYWHERE,
        }

    def samplers(self) -> Sequence[Sampler]:
        """The driver's management library, for each GPU that a worker sees."""
        return nvml.samplers(gpu_count())


def _probe(framework: str, has_cuda: Callable[[], bool], fix: str) -> Availability:
    count = gpu_count()
    if count == 0:
        return _unavailable("no Nvidia GPU: /dev has no nvidia device", "run on a machine with one")
    if find_spec(framework) is None:
        return _unavailable(f"{framework} is not installed", f"make setup, or pip install -e '.[{framework}]'")
    if not has_cuda():
        return _unavailable(f"the installed {framework} has no CUDA support", fix)
    return Availability(available=True, device_type="cuda", device_count=count)


def _unavailable(reason: str, fix: str) -> Availability:
    return Availability(available=False, device_type="cuda", reason=reason, fix=fix)


def gpu_count(devices: Path = _DEVICES) -> int:
    """Nvidia GPUs by their device files, without a driver call."""
    return sum(1 for path in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name))


def _torch_has_cuda() -> bool:
    """Whether the installed torch is a CUDA build, from its version or its own version file, without importing it."""
    try:
        label = version("torch")
    except PackageNotFoundError:
        return False
    spec = find_spec("torch")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    texts = [path.read_text(encoding="utf-8") for folder in folders if (path := Path(folder) / "version.py").exists()]
    return "+cu" in label or any(re.search(r"^cuda\b.*=\s*['\"]\d", text, re.MULTILINE) for text in texts)


def _jax_has_cuda() -> bool:
    """Whether jax's CUDA plug-in is installed, of whichever CUDA version."""
    return any(re.fullmatch(r"jax-cuda\d+-plugin", found.name or "") for found in distributions())
