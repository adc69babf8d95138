"""How one backend runs a workload without changing its mathematics. Data, recorded whole on every run."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from backends.errors import BackendError
from workloads.files import read_toml
from workloads.names import LONGEST_NAME, fault_of_name, name_of_file
from workloads.spec import Workload

SHIPPED = "as-is"
"""Name and track of every backend's own recipe."""

_SHIPPED_FOLDER = Path(__file__).parent / "recipes"
_LARGEST = {"micro_batch": 2**24, "micro_batch_tokens": 2**48, "loss_part_tokens": 2**48, "threads": 2**12}
"""A workload has no more sequences and tokens in a step, a machine no more processors."""
_LONGEST_VARIABLE = 10_000
"""Characters; the kernel takes 128 KiB for one variable (execve(2))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """The evidence of a tuned recipe: what was searched, and how its winner did in runs that the search did not see."""

    backend: str
    workload: str
    digest: str
    """Of the workload; for another one the recipe is somebody's own."""
    machine: str
    """Processor, or device, on which it was found."""
    day: str
    cost_ratio: float
    """Cost per token over as-is, on one machine, with its 95 % interval."""
    cost_ratio_low: float
    cost_ratio_high: float
    rounds: int
    """In which both took turns."""
    recipes_tried: int
    recipes_rejected: int
    """Of these: failed, did not fit, or lost a gate."""
    search_runs: int
    search_minutes: float


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
    compile: Literal["whole", "parts", "off"] = "whole"
    """The model as one graph; embedding, each layer and the tail (norm, scores, loss) as a graph each; or eager."""
    compile_mode: Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] = "default"
    """torch.compile's mode: ``reduce-overhead`` and ``max-autotune`` replay a step as CUDA graphs, the latter and
    ``max-autotune-no-cudagraphs`` measure candidates for each matrix product while they compile."""
    layers: Literal["unrolled", "scan"] = "unrolled"
    """One after the other in the graph, or one loop over stacked weights (jax), which compiles in a fraction."""
    products: Literal["operands", "master", "fastest"] = "operands"
    """The type in which matrices are multiplied: what the precision policy names for operands; the master type, which
    keeps more and is faster where a processor has no product of the narrower one; or whichever of the two a session
    finds quicker on its device as it opens, which the record names."""
    product_kernel: Literal["matmul", "convolution", "convolution-throughout", "fastest"] = "matmul"
    """What computes them: the framework's matrix product; its convolution of width 1, the same sums by another library
    (torch on a CPU), for all but the gradients of weights, or for these as well; or whichever of the three a session
    finds quickest for the model's shapes as it opens, which is left out where operands are narrow and both are one
    library."""
    attention: str = "product"
    """The engine's name of the attention computation; see the engine's model."""
    loss: str = "cross-entropy"
    """The engine's name of the form that the cross-entropy is written in; see the engine's model."""
    loss_part_tokens: int | None = None
    """Tokens whose scores over the vocabulary exist at a time; None: a micro-batch's."""
    rematerialise: bool | Literal["between-products"] = False
    """Recompute each layer's activations in the backward pass instead of keeping them: all of them, or only what lies
    between products and attention, which is cheap (compiled: eager, torch keeps what a product multiplies)."""
    update: Literal["default", "one-pass"] = "default"
    """How gradients become new parameters: as the engine does it by itself (torch: clipping, fused AdamW, weights cast
    as they are used); or ``one-pass`` (torch), where one compiled loop reads each gradient as its product left it and
    writes the master value, its moments and the operand of the next step."""
    sharding: Literal["none", "optimizer", "all"] = "none"
    """What several devices share out: nothing (each holds everything), the optimizer's state (ZeRO-1), or
    parameters and gradients as well (ZeRO-3, torch's FSDP2)."""
    threads: int | None = None
    """Host threads of the framework; None: its default."""
    near_device: bool = False
    """Each process stays on the processors of its device's NUMA node, where the backend knows them."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables set before the interpreter starts."""
    tuning: Tuning | None = None
    """What `fairchip tune` writes; without it a recipe file is somebody's own."""


_RECIPE = TypeAdapter(Recipe)


def load_recipe(path: Path) -> Recipe:
    """A recipe from a TOML file.

    Raises:
        BackendError: unreadable, broken TOML, unknown key, wrong type or impossible value; names file and field.
    """
    try:
        recipe = _RECIPE.validate_json(json.dumps(read_toml(path)))
    except OSError as error:
        raise BackendError(f"{path}: {error.strerror or error}", "give the path of a recipe TOML file") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the table"
        raise BackendError(f"{path}: {where}: {first['msg'].lower()}", "see backends/recipes/") from None
    except (ValueError, TypeError, RecursionError) as error:
        raise BackendError(f"{path}: not a recipe: {error}", "see backends/recipes/") from None
    _check(recipe, str(path))
    return recipe


def custom_recipe(path: Path) -> Recipe:
    """A recipe from a TOML file: tuned with the evidence for it, else a user's own.

    Without a name of its own it is called after the file.

    Raises:
        BackendError: as `load_recipe`.
    """
    recipe = load_recipe(path)
    name = name_of_file(path) if recipe.name == SHIPPED else recipe.name
    named = replace(recipe, track="tuned" if recipe.tuning else "custom", name=name)
    _check(named, str(path))
    return named


def for_case(recipe: Recipe, backend: str, workload: Workload) -> Recipe:
    """The recipe as this case may call it: one that was tuned for another is somebody's own here."""
    found = recipe.tuning
    if found is None or (found.backend, found.digest) == (backend, workload.digest):
        return recipe
    return replace(recipe, track="custom", tuning=None)


def as_toml(recipe: Recipe) -> str:
    """What `load_recipe` reads as the same recipe."""
    tables = {"environment": dict(recipe.environment), "tuning": asdict(recipe.tuning) if recipe.tuning else {}}
    fields = {name: value for name, value in asdict(recipe).items() if name not in (*tables, "track")}
    lines = _assignments(fields)
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_assignments(table)] if table else []
    return "\n".join(lines) + "\n"


def _assignments(table: Mapping[str, object]) -> list[str]:
    """TOML takes the scalars of JSON."""
    return [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in table.items() if value is not None]


def _check(recipe: Recipe, origin: str) -> None:
    for fault, hint in _faults(recipe):
        raise BackendError(f"{origin}: {fault}", hint)


def _faults(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """What cannot work whatever the workload is, each with a hint."""
    for field_name in ("name", "attention", "loss"):
        fault = fault_of_name(getattr(recipe, field_name))
        if fault is not None:
            yield f"{field_name} {fault}", f"give 1 to {LONGEST_NAME} printable characters"
    for field_name, largest in _LARGEST.items():
        number = getattr(recipe, field_name)
        if number is not None and not 1 <= number <= largest:
            yield f"{field_name} is {number}", f"give a whole number from 1 to {largest}"
    for variable, value in recipe.environment.items():
        if fault_of_name(variable) or "=" in variable:
            yield f"environment.{variable[:LONGEST_NAME]} is no name of a variable", 'write NAME = "value"'
        if "\0" in value or len(value) > _LONGEST_VARIABLE:
            yield f"environment.{variable} holds a NUL or is too long", f"at most {_LONGEST_VARIABLE} characters"


def shipped_recipe(backend: str) -> Recipe:
    """The as-is recipe of a built-in backend, from backends/recipes/."""
    return load_recipe(_SHIPPED_FOLDER / f"{backend}.toml")


def shipped_for_precision(backend: str, precision: str) -> Recipe | None:
    """The as-is recipe for workloads of one precision, where a backend has a file for it."""
    path = _SHIPPED_FOLDER / f"{backend}.{precision}.toml"
    return load_recipe(path) if path.exists() else None


def resolve(recipe: Recipe, workload: Workload, world_size: int = 1) -> Recipe:
    """The recipe with its micro-batch settled: the largest divisor of a device's batch within the token limit.

    Raises:
        BackendError: a micro-batch that does not divide that batch, or devices that do not divide the global one.
    """
    total, rest = divmod(workload.global_batch, world_size)
    if rest or not total:
        raise BackendError(
            f"{world_size} devices do not divide the global batch of {workload.global_batch} sequences",
            f"take a divisor of {workload.global_batch}",
        )
    if recipe.micro_batch is None:
        limit = total if recipe.micro_batch_tokens is None else recipe.micro_batch_tokens // workload.sequence_length
        return replace(recipe, micro_batch=_largest_divisor(total, max(1, limit)))
    if recipe.micro_batch < 1 or total % recipe.micro_batch:
        raise BackendError(
            f"micro_batch {recipe.micro_batch} does not divide the batch of {total} sequences", "give a divisor"
        )
    return recipe


def _largest_divisor(number: int, limit: int) -> int:
    small = [divisor for divisor in range(1, math.isqrt(number) + 1) if number % divisor == 0]
    return max(size for divisor in small for size in (divisor, number // divisor) if size <= limit)
