"""Which of AWS's packages are really installed: two stacks and a placeholder share names. Nothing is imported."""

from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Kind = Literal["native", "xla", "placeholder"]


def torch_neuronx_kind() -> Kind | None:
    """What `import torch_neuronx` would find; None: nothing."""
    folders = package_folders("torch_neuronx")
    if not folders:
        return None
    if any(is_placeholder(folder) for folder in folders):
        return "placeholder"
    return "native" if any((folder / "neuron_dynamo_backend").exists() for folder in folders) else "xla"


def package_folders(name: str) -> list[Path]:
    """Where a top-level package lies; `find_spec` of a submodule would import the package."""
    spec = find_spec(name)
    return [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []


def is_placeholder(folder: Path) -> bool:
    """Whether a package is the one of the public index, which only raises ImportError("WRONG PACKAGE ...")."""
    source = folder / "__init__.py"
    return source.exists() and "WRONG PACKAGE" in source.read_text(encoding="utf-8", errors="replace")


def script_folders(distribution_name: str) -> list[str]:
    """Where a distribution's scripts were installed."""
    try:
        files = distribution(distribution_name).files or []
    except PackageNotFoundError:
        return []
    return sorted({str(Path(str(file.locate())).resolve().parent) for file in files if file.parent.name == "bin"})


def installed_version(distribution: str) -> str | None:
    """Of a distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
