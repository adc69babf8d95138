"""Suites: the cases that answer one question on one class of machine, from TOML."""

import difflib
import json
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from backends.contract import Availability, Backend
from backends.errors import BackendError
from backends.host import available_cpus
from backends.recipe import Recipe, custom_recipe, for_case, resolve
from backends.registry import availabilities, availability, load_backend
from bench.errors import UsageError
from bench.plan import Case, MeasurePlan
from workloads.catalog import find_workload
from workloads.spec import Workload

_FOLDER = Path(__file__).parent / "suites"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What `fairchip bench` runs."""

    name: str
    question: str
    workloads: tuple[str, ...]
    device: Literal["cpu", "accelerator"]
    """Which backends it runs: every one available whose device is of this kind, plug-ins included."""
    runs: int = 5
    """Timed runs of every case: rounds."""
    cold_starts: int = 1
    recipe: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Fields of a backend's as-is recipe that this suite replaces, by backend."""
    devices: Literal["chip", "all"] = "chip"
    """How many devices of the machine one run uses: those of one chip, or all."""
    probe: bool = False
    """Whether what matrix products alone reach is measured first, unless it was since the last boot. Not within a
    budget: its runs alone are what was bought."""
    plan: MeasurePlan = field(default_factory=MeasurePlan)


_SUITE = TypeAdapter(Suite)


def suite_names() -> tuple[str, ...]:
    """Names of the shipped suites, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def find_suite(name: str) -> Suite:
    """A shipped suite.

    Raises:
        UsageError: no such suite; the hint names the nearest.
    """
    if name not in suite_names():
        near = difflib.get_close_matches(name, suite_names(), n=1)
        raise UsageError(
            f"unknown suite {name!r}",
            f"did you mean {near[0]}?" if near else f"known: {', '.join(suite_names())}",
        )
    table = tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    try:
        return _SUITE.validate_json(json.dumps({"name": name} | table))
    except ValidationError as error:
        raise UsageError(f"suite {name}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}", "") from None


def default_suite() -> Suite:
    """The suite for this machine: ``chip`` where an accelerator's backend is available, else ``cpu``."""
    return find_suite("chip" if suite_backends("accelerator") else "cpu")


def suite_backends(device: Literal["cpu", "accelerator"]) -> list[str]:
    """Names of the backends for a kind of device, torch's first, so that the baseline is always the same.

    One that is not available is among them if another of its device is: its row then says what is missing.
    """
    found = availabilities()
    of_kind = [one for one in found.values() if (one.device_type == "cpu") == (device == "cpu")]
    here = {one.device_type for one in of_kind if one.available}
    return sorted(
        (name for name, one in found.items() if one.device_type in here),
        key=lambda name: (not name.startswith("torch"), name),
    )


def suite_cases(suite: Suite) -> list[Case]:
    """Every case of the suite.

    Raises:
        UsageError: nothing here can run it.
    """
    backends = suite_backends(suite.device)
    if not backends:
        raise UsageError(f"suite {suite.name}: no {suite.device} backend is available here", "see: fairchip doctor")
    return [
        make_case(find_workload(workload), backend, replacing=suite.recipe.get(backend), devices=suite.devices)
        for workload in suite.workloads
        for backend in backends
    ]


def make_case(
    workload: Workload,
    backend: str,
    recipe_name: str | None = None,
    replacing: dict[str, Any] | None = None,
    devices: int | Literal["chip", "all"] = "chip",
) -> Case:
    """One case with its recipe resolved: the backend's own, another that it ships by that name, or a file's.

    Raises:
        BackendError: unknown backend, unreadable recipe, or one that does not fit the workload.
        UsageError: more devices than there are.
    """
    loaded, found = load_backend(backend), availability(backend)
    world_size = _world_size(backend, found, devices)
    recipe = for_case(_recipe(loaded, workload, recipe_name), backend, workload)
    if replacing:
        recipe = _replaced(recipe, replacing)
    return Case(
        workload=workload,
        backend=backend,
        device_type=found.device_type,
        recipe=resolve(recipe, workload, world_size),
        world_size=world_size,
        devices_per_chip=found.devices_per_chip,
        process_per_device=found.process_per_device,
    )


def _world_size(backend: str, found: Availability, devices: int | Literal["chip", "all"]) -> int:
    """How many devices are meant; one that is not available has none, and its run will say so."""
    there = max(1, found.device_count)
    if devices == "all":
        return there
    if devices == "chip":
        return min(there, found.devices_per_chip)
    limit = available_cpus() if found.device_type == "cpu" else there
    if found.available and devices > limit:
        raise UsageError(f"{backend}: {devices} devices are asked for and {limit} are here", "see: fairchip list")
    return devices


def _recipe(backend: Backend, workload: Workload, name: str | None) -> Recipe:
    """A shipped name goes before a file of that name; a plug-in may fail in any way."""
    try:
        shipped = backend.recipes(workload)
        if name is None or name in shipped:
            return shipped[name or "as-is"]
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(
            f"backend {backend.name!r} has no as-is recipe: {type(error).__name__}: {error}",
            "see docs/add-a-backend.md",
        ) from error
    if not Path(name).exists():
        raise UsageError(
            f"{backend.name} ships no recipe {name!r}, and there is no such file",
            f"shipped: {', '.join(shipped)}; or the path of a TOML file",
        )
    return custom_recipe(Path(name))


def _replaced(recipe: Recipe, fields: dict[str, Any]) -> Recipe:
    try:
        return replace(recipe, **fields)
    except TypeError as error:
        raise UsageError(f"recipe: {error}", "see backends/recipes/") from None
