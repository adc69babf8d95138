"""torch and jax on one Nvidia GPU: thin devices on the same engines as the CPU's."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path

from backends.bases import JaxBackend, TorchBackend
from backends.compile_cache import jax_cache, torch_cache
from backends.contract import Availability
from backends.recipe import Recipe

_DEVICES = Path("/dev")


class TorchCuda(TorchBackend):
    """torch on one CUDA device."""

    name = "torch-cuda"
    device_type = "cuda"

    def probe(self) -> Availability:
        """Available with a GPU and a CUDA build of torch."""
        return _probe("torch", _torch_has_cuda, "install a CUDA build of torch")

    def environment(self, recipe: Recipe, cache: Path) -> Mapping[str, str]:
        """The recipe's variables and the compile cache; TF32 off everywhere."""
        return {**recipe.environment, **torch_cache(cache), "NVIDIA_TF32_OVERRIDE": "0"}


class JaxCuda(JaxBackend):
    """jax on one CUDA device."""

    name = "jax-cuda"
    device_type = "cuda"

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
            "NVIDIA_TF32_OVERRIDE": "0",
        }


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
