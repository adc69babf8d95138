"""The named workloads, one TOML file each in `catalog/`."""

import difflib
from pathlib import Path

from workloads.errors import WorkloadError
from workloads.parse import workload_from_toml
from workloads.spec import Workload

_FOLDER = Path(__file__).parent / "catalog"


def catalog_names() -> tuple[str, ...]:
    """Names of the shipped workloads, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def find_workload(name: str) -> Workload:
    """A workload of the catalog, or of a TOML file if ``name`` is a path that ends in ``.toml``.

    Raises:
        WorkloadError: no such workload (the hint names the nearest), or the file is not valid.
    """
    if name.endswith(".toml"):
        return workload_from_toml(Path(name))
    if name not in catalog_names():
        near = difflib.get_close_matches(name, catalog_names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(catalog_names())}"
        raise WorkloadError(f"unknown workload {name!r}", hint)
    return workload_from_toml(_FOLDER / f"{name}.toml")
