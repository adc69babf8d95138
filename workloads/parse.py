"""From TOML to `Workload`: everything that is wrong is refused here, in one line that names the field."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workloads.errors import WorkloadError
from workloads.files import read_toml
from workloads.names import name_of_file
from workloads.problems import Problem, model_problems, workload_problems
from workloads.spec import Model, Workload

_WORKLOAD = TypeAdapter(Workload)


def workload_from_toml(path: Path) -> Workload:
    """The workload that a TOML file describes; its name is the file's unless the file gives one.

    Raises:
        WorkloadError: unreadable file, broken TOML, unknown key, wrong type or impossible value.
    """
    try:
        table = read_toml(path)
    except OSError as error:
        raise WorkloadError(f"{path}: {error.strerror or error}", "give the path of a workload TOML file") from None
    except ValueError as error:
        raise WorkloadError(f"{path}: not TOML: {error}", "see workloads/catalog/ for examples") from None
    return workload_from_table({"name": name_of_file(path)} | table, origin=str(path))


def workload_from_table(table: Mapping[str, Any], origin: str) -> Workload:
    """The workload of a nested table; ``origin`` begins every message.

    Raises:
        WorkloadError: unknown key, wrong type or impossible value.
    """
    try:
        workload = _WORKLOAD.validate_json(json.dumps(table))
    except ValidationError as error:
        raise WorkloadError(f"{origin}: {_first_problem(error)}", "see workloads/catalog/ for examples") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise WorkloadError(
            f"{origin}: {error}", "use numbers, strings and tables only; no nan, inf or dates"
        ) from None
    check(workload, origin)
    return replace(workload, model=normalised(workload.model))


def normalised(model: Model) -> Model:
    """The same model said one way: a head width that equals dim / heads is left to its default."""
    return replace(model, head_dim=None) if model.head_dim == model.dim / model.heads else model


def check(workload: Workload, origin: str) -> None:
    """Refuse a workload whose numbers cannot work together.

    Raises:
        WorkloadError: naming ``origin`` and the field.
    """
    _refuse(workload_problems(workload), origin)


def check_model(model: Model, origin: str) -> None:
    """Refuse a model whose numbers cannot work together.

    Raises:
        WorkloadError: naming ``origin`` and the field.
    """
    _refuse(model_problems(model), origin)


def _refuse(problems: Iterable[Problem], origin: str) -> None:
    for problem in problems:
        raise WorkloadError(f"{origin}: {problem.field} {problem.what}", problem.hint)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the table"
    return f"{where}: {first['msg'].lower()}"
