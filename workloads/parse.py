"""From TOML to `Workload`: everything that is wrong is refused here, in one line that names the field."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from workloads.errors import WorkloadError
from workloads.spec import Data, Model, Optimizer, Workload

LARGEST_SIZE = 2**24
"""No dimension, vocabulary, batch or sequence is larger; a larger one is a typing error."""

_WORKLOAD = TypeAdapter(Workload)


class Problem(NamedTuple):
    """One thing that is wrong with a workload."""

    field: str
    what: str
    hint: str


def workload_from_toml(path: Path) -> Workload:
    """The workload that a TOML file describes; its name is the file's unless the file gives one.

    Raises:
        WorkloadError: unreadable file, broken TOML, unknown key, wrong type or impossible value.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkloadError(f"{path}: {error.strerror or error}", "give the path of a workload TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WorkloadError(f"{path}: not TOML: {error}", "see workloads/catalog/ for examples") from None
    return workload_from_table({"name": path.stem} | table, origin=str(path))


def workload_from_table(table: Mapping[str, Any], origin: str) -> Workload:
    """The workload of a nested table; ``origin`` begins every message.

    Raises:
        WorkloadError: unknown key, wrong type or impossible value.
    """
    try:
        workload = _WORKLOAD.validate_json(json.dumps(table))
    except ValidationError as error:
        raise WorkloadError(f"{origin}: {_first_problem(error)}", "see workloads/catalog/ for examples") from None
    except (TypeError, ValueError) as error:
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
    for problem in _problems(workload):
        raise WorkloadError(f"{origin}: {problem.field} {problem.what}", problem.hint)


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the table"
    return f"{where}: {first['msg'].lower()}"


def _problems(workload: Workload) -> list[Problem]:
    return [
        *_sizes("", sequence_length=workload.sequence_length, global_batch=workload.global_batch),
        *_model_problems(workload.model),
        *_optimizer_problems(workload.optimizer),
        *_data_problems(workload.data, workload.model),
        *_seed_problems(workload.seed),
    ]


def _sizes(prefix: str, **sizes: int) -> list[Problem]:
    return [
        Problem(prefix + name, f"is {size}", f"give a whole number from 1 to {LARGEST_SIZE}")
        for name, size in sizes.items()
        if not 1 <= size <= LARGEST_SIZE
    ]


def _model_problems(model: Model) -> list[Problem]:
    names = ("dim", "layers", "heads", "kv_heads", "ffn_dim", "vocab_size")
    problems = _sizes("model.", **{name: getattr(model, name) for name in names})
    if model.head_dim is not None:
        problems += _sizes("model.", head_dim=model.head_dim)
    if problems:
        return problems
    if model.head_dim is None and model.dim % model.heads:
        problems.append(Problem("model.heads", f"{model.heads} does not divide dim {model.dim}", "or give head_dim"))
    elif model.head_width % 2:
        problems.append(
            Problem("model.head_dim", f"{model.head_width} is odd", "rotary embedding turns pairs: make it even")
        )
    if model.heads % model.kv_heads:
        problems.append(
            Problem(
                "model.kv_heads",
                f"{model.kv_heads} does not divide heads {model.heads}",
                "every key-value head serves as many heads",
            )
        )
    problems += _positive("model.", model, ("rotary_base", "norm_epsilon", "init_std"))
    if model.rotary_scaling is not None:
        scaling = model.rotary_scaling
        problems += _positive("model.rotary_scaling.", scaling, tuple(item.name for item in fields(scaling)))
        if scaling.high_frequency_factor <= scaling.low_frequency_factor:
            problems.append(
                Problem(
                    "model.rotary_scaling.high_frequency_factor",
                    "is not above low_frequency_factor",
                    "Llama 3 has 4 and 1",
                )
            )
    return problems


def _positive(prefix: str, owner: Any, names: tuple[str, ...]) -> list[Problem]:
    return [
        Problem(prefix + name, f"is {getattr(owner, name)}", "give a finite number above zero")
        for name in names
        if not 0 < getattr(owner, name) < float("inf")
    ]


def _optimizer_problems(optimizer: Optimizer) -> list[Problem]:
    problems = _positive("optimizer.", optimizer, ("learning_rate", "epsilon", "clip_norm"))
    for name in ("beta1", "beta2"):
        if not 0 <= getattr(optimizer, name) < 1:
            problems.append(
                Problem(f"optimizer.{name}", f"is {getattr(optimizer, name)}", "give a number from 0 to below 1")
            )
    for name in ("weight_decay", "warmup_steps"):
        if not 0 <= getattr(optimizer, name) <= LARGEST_SIZE:
            problems.append(
                Problem(f"optimizer.{name}", f"is {getattr(optimizer, name)}", "give zero or a positive number")
            )
    return problems


_DATA_FIELDS = {
    "text": ("name", "sha256"),
    "tokens": ("sha256", "dtype"),
    "synthetic": ("name",),
}


def _data_problems(data: Data, model: Model) -> list[Problem]:
    needed = _DATA_FIELDS[data.kind]
    problems = [
        Problem(
            f"data.{name}",
            "is missing" if name in needed else "is out of place",
            f"{data.kind} data has {', '.join(needed)}",
        )
        for name in ("name", "sha256", "dtype")
        if (getattr(data, name) is None) == (name in needed)
    ]
    if data.kind == "text" and model.vocab_size < 256:
        problems.append(Problem("model.vocab_size", f"{model.vocab_size} is below 256", "text data is bytes: 0 to 255"))
    return problems


def _seed_problems(seed: int) -> list[Problem]:
    return [] if 0 <= seed < 2**63 else [Problem("seed", f"is {seed}", "give a whole number from 0 to 2^63 - 1")]
