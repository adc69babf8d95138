"""How one backend runs a workload without changing its mathematics. Data, recorded whole on every run."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from backends.errors import BackendError
from workloads.spec import Workload

SHIPPED = "as-is"
"""Name and track of every backend's own recipe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to run; every field is free of mathematics."""

    __pydantic_config__ = {"extra": "forbid", "strict": True}  # noqa: RUF012 - read by pydantic

    name: str = SHIPPED
    track: Literal["as-is", "tuned", "custom"] = "as-is"
    """The shipped default, the best that a search found, or somebody's own."""
    micro_batch: int | None = None
    """Sequences per forward and backward pass; None until resolved for a workload."""
    micro_batch_tokens: int | None = None
    """Upper limit of tokens per pass, from which micro_batch is resolved; None: the whole global batch."""
    compile: Literal["whole", "off"] = "whole"
    attention: str = "product"
    """The engine's name of the attention computation; see the engine's model."""
    rematerialise: bool = False
    """Recompute each layer's activations in the backward pass instead of keeping them."""
    threads: int | None = None
    """Host threads of the framework; None: its default."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables set before the interpreter starts."""


_RECIPE = TypeAdapter(Recipe)


def load_recipe(path: Path) -> Recipe:
    """A recipe from a TOML file.

    Raises:
        BackendError: unreadable, broken TOML, unknown key or wrong type; the message names file and field.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return _RECIPE.validate_json(json.dumps(table))
    except OSError as error:
        raise BackendError(f"{path}: {error.strerror or error}", "give the path of a recipe TOML file") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the table"
        raise BackendError(f"{path}: {where}: {first['msg'].lower()}", "see backends/recipes/") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise BackendError(f"{path}: not a recipe: {error}", "see backends/recipes/") from None


def custom_recipe(path: Path) -> Recipe:
    """A user's recipe from a TOML file; without a name of its own it is called after the file.

    Raises:
        BackendError: as `load_recipe`.
    """
    recipe = load_recipe(path)
    return replace(recipe, track="custom", name=path.stem if recipe.name == SHIPPED else recipe.name)


def shipped_recipe(backend: str) -> Recipe:
    """The as-is recipe of a built-in backend, from backends/recipes/."""
    return load_recipe(Path(__file__).parent / "recipes" / f"{backend}.toml")


def resolve(recipe: Recipe, workload: Workload) -> Recipe:
    """The recipe with its micro-batch settled: the largest divisor of the global batch within the token limit.

    Raises:
        BackendError: a micro-batch that does not divide the global batch.
    """
    total = workload.global_batch
    if recipe.micro_batch is None:
        limit = total if recipe.micro_batch_tokens is None else recipe.micro_batch_tokens // workload.sequence_length
        micro_batch = max(size for size in range(1, total + 1) if total % size == 0 and size <= max(1, limit))
        return replace(recipe, micro_batch=micro_batch)
    if recipe.micro_batch < 1 or total % recipe.micro_batch:
        raise BackendError(
            f"micro_batch {recipe.micro_batch} does not divide the global batch {total}", "give a divisor"
        )
    return recipe
