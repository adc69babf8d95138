"""What cannot work in a workload: sizes, ranges, parts that do not fit each other; the first problem first."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple

from workloads.flops import flops_per_token
from workloads.names import LONGEST_NAME, fault_of_name
from workloads.spec import Data, Model, Optimizer, Workload

LARGEST_SIZE = 2**24
"""No dimension, vocabulary, batch or sequence is larger; a larger one is a typing error."""
LARGEST_LAYERS = 2**16
LARGEST_OPERATIONS = 2**63 - 1
"""Per token: what a record can hold."""
SMALLEST_NUMBER, LARGEST_NUMBER = 1e-30, 1e30
"""Between these, squares and products of two are finite numbers above zero."""


class Problem(NamedTuple):
    """One thing that is wrong with a workload."""

    field: str
    what: str
    hint: str


def workload_problems(workload: Workload) -> Iterator[Problem]:
    """Everything that is wrong with a workload."""
    fault = fault_of_name(workload.name)
    if fault is not None:
        yield Problem("name", fault, f"name it with 1 to {LONGEST_NAME} printable characters")
    sizes = list(_sizes("", sequence_length=workload.sequence_length, global_batch=workload.global_batch))
    sizes += model_problems(workload.model)
    yield from sizes or _operations_problems(workload)
    yield from _optimizer_problems(workload.optimizer)
    yield from _data_problems(workload.data, workload.model)
    if not 0 <= workload.seed < 2**63:
        yield Problem("seed", f"is {workload.seed}", "give a whole number from 0 to 2^63 - 1")


def model_problems(model: Model) -> Iterator[Problem]:
    """Everything that is wrong with a model."""
    sizes = list(_model_sizes(model))
    yield from sizes or _head_problems(model)
    yield from _positive("model.", model, ("rotary_base", "norm_epsilon", "init_std"))
    yield from _scaling_problems(model)


def _sizes(prefix: str, largest: int = LARGEST_SIZE, **sizes: int) -> Iterator[Problem]:
    for name, size in sizes.items():
        if not 1 <= size <= largest:
            yield Problem(prefix + name, f"is {size}", f"give a whole number from 1 to {largest}")


def _model_sizes(model: Model) -> Iterator[Problem]:
    names = ("dim", "heads", "kv_heads", "ffn_dim", "vocab_size")
    yield from _sizes("model.", **{name: getattr(model, name) for name in names})
    yield from _sizes("model.", LARGEST_LAYERS, layers=model.layers)
    if model.head_dim is not None:
        yield from _sizes("model.", head_dim=model.head_dim)


def _head_problems(model: Model) -> Iterator[Problem]:
    if model.head_dim is None and model.dim % model.heads:
        yield Problem("model.heads", f"{model.heads} does not divide dim {model.dim}", "or give head_dim")
    elif model.head_width % 2:
        yield Problem("model.head_dim", f"{model.head_width} is odd", "rotary embedding turns pairs: make it even")
    if model.heads % model.kv_heads:
        what = f"{model.kv_heads} does not divide heads {model.heads}"
        yield Problem("model.kv_heads", what, "every key-value head serves as many heads")


def _scaling_problems(model: Model) -> Iterator[Problem]:
    scaling, prefix = model.rotary_scaling, "model.rotary_scaling."
    if scaling is None:
        return
    yield from _positive(prefix, scaling, tuple(item.name for item in fields(scaling)))
    yield from _sizes(prefix, original_context=scaling.original_context)
    if scaling.high_frequency_factor <= scaling.low_frequency_factor:
        yield Problem(f"{prefix}high_frequency_factor", "is not above low_frequency_factor", "Llama 3 has 4 and 1")


def _operations_problems(workload: Workload) -> Iterator[Problem]:
    operations = max(flops_per_token(workload).values())
    if operations > LARGEST_OPERATIONS:
        yield Problem("model", f"needs {operations:.1e} operations for a token", "no machine can: are its sizes right?")


def _positive(prefix: str, owner: Any, names: tuple[str, ...]) -> Iterator[Problem]:
    for name in names:
        number = getattr(owner, name)
        if not SMALLEST_NUMBER <= number <= LARGEST_NUMBER:
            yield Problem(
                prefix + name, f"is {number}", f"give a number from {SMALLEST_NUMBER:g} to {LARGEST_NUMBER:g}"
            )


def _optimizer_problems(optimizer: Optimizer) -> Iterator[Problem]:
    yield from _positive("optimizer.", optimizer, ("learning_rate", "epsilon", "clip_norm"))
    for name in ("beta1", "beta2"):
        if not 0 <= getattr(optimizer, name) < 1:
            yield Problem(f"optimizer.{name}", f"is {getattr(optimizer, name)}", "give a number from 0 to below 1")
    for name in ("weight_decay", "warmup_steps"):
        if not 0 <= getattr(optimizer, name) <= LARGEST_SIZE:
            what = f"is {getattr(optimizer, name)}"
            yield Problem(f"optimizer.{name}", what, f"give a number from 0 to {LARGEST_SIZE}")


_DATA_FIELDS = {
    "text": ("name", "sha256"),
    "tokens": ("sha256", "dtype"),
    "synthetic": ("name",),
}


def _data_problems(data: Data, model: Model) -> Iterator[Problem]:
    needed = _DATA_FIELDS[data.kind]
    for name in ("name", "sha256", "dtype"):
        if (getattr(data, name) is None) == (name in needed):
            what = "is missing" if name in needed else "is out of place"
            yield Problem(f"data.{name}", what, f"{data.kind} data has {', '.join(needed)}")
    if data.kind == "text" and model.vocab_size < 256:
        yield Problem("model.vocab_size", f"{model.vocab_size} is below 256", "text data is bytes: 0 to 255")
