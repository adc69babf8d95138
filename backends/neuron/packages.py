"""Which of AWS's Python packages an environment really has, found without importing any of them.

Three things share the import name ``torch_neuronx``: the native PyTorch backend (TorchNeuron), the older package that
stands on torch-xla, and on the public index a placeholder that only raises ``ImportError("WRONG PACKAGE ...")``.
AWS's other names have such placeholders too. Sources: AWS's release notes 2.33, and the placeholders themselves.

Only top-level names are looked up: `importlib.util.find_spec` of a submodule imports its parent.
"""

from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from backends.host import small_text

INDEX = "https://pip.repos.neuron.amazonaws.com"
"""AWS's own; the only one that has the real packages."""
XLA_PIP_LINE = f'pip install "neuronx-cc==2.26.6360.0" "torch-neuronx==2.9.0.2.15.32035" --extra-index-url {INDEX}'
"""The last packages on torch-xla, and the pair that AWS's update page pins (Neuron 2.33, tab PyTorch 2.9)."""
NATIVE_PART = "neuron_dynamo_backend"
"""A folder of the native package that the one on torch-xla does not have."""
_MARK = "WRONG PACKAGE"

TorchNeuronxKind = Literal["native", "xla", "placeholder"]


def torch_neuronx_kind() -> TorchNeuronxKind | None:
    """What ``import torch_neuronx`` would give; None: nothing is installed under that name."""
    if is_placeholder("torch-neuronx"):
        return "placeholder"
    folder = package_folder("torch_neuronx")
    if folder is None:
        return None
    native = (folder / NATIVE_PART).is_dir() or (folder / f"{NATIVE_PART}.py").exists()
    return "native" if native else "xla"


def is_placeholder(distribution_name: str) -> bool:
    """Whether what is installed under the distribution's name is AWS's placeholder; False where nothing is.

    Told by what the placeholders' ``__init__.py`` raises. Some lie in a folder with a hyphen, which no import finds,
    so the distribution's own list of files is read as well.
    """
    folder = package_folder(distribution_name.replace("-", "_"))
    beginnings = [folder / "__init__.py"] if folder else []
    return any(_MARK in small_text(path) for path in (*beginnings, *_installed_beginnings(distribution_name)))


def is_real(distribution_name: str) -> bool:
    """Whether a package of that name can be imported and is no placeholder."""
    return package_folder(distribution_name.replace("-", "_")) is not None and not is_placeholder(distribution_name)


def installed_version(distribution_name: str) -> str | None:
    """From the metadata; None where there is none."""
    try:
        return version(distribution_name)
    except PackageNotFoundError:
        return None


def script_folders(distribution_name: str) -> list[str]:
    """Where a distribution's scripts were installed, which need not be on PATH."""
    try:
        files = distribution(distribution_name).files or []
    except PackageNotFoundError:
        return []
    return sorted({str(Path(str(file.locate())).resolve().parent) for file in files if file.parent.name == "bin"})


def package_folder(import_name: str) -> Path | None:
    """The folder of a top-level package; None for no package, or a mere folder without ``__init__.py``."""
    spec = find_spec(import_name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _installed_beginnings(distribution_name: str) -> list[Path]:
    """The ``__init__.py`` of every top-level folder that the distribution brought."""
    try:
        found = distribution(distribution_name)
    except PackageNotFoundError:
        return []
    files = [file for file in found.files or () if len(file.parts) == 2 and file.name == "__init__.py"]
    return [Path(str(found.locate_file(file))) for file in files]
