"""Batches: a pure function of (workload, step), fresh every step, the same for every framework."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workloads import synthetic
from workloads.corpora import corpus_bytes
from workloads.errors import WorkloadError
from workloads.random_bits import whole_numbers
from workloads.spec import Workload
from workloads.token_file import open_tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """The sequences of one optimizer step, on the host."""

    step: int
    """0, 1, ..."""
    inputs: NDArray[np.int32]
    """Token ids (global_batch, sequence_length)."""
    targets: NDArray[np.int32]
    """The token after each input, same shape. None is padding."""


BatchSource = Callable[[int], Batch]
"""From a step number to its batch; blocks until it is made."""


def batch_source(workload: Workload) -> BatchSource:
    """Opens the workload's data.

    Raises:
        WorkloadError: the data is missing, altered, too short or of an unknown name.
    """
    draw = _synthetic(workload) if workload.data.kind == "synthetic" else _windows_of(workload)

    def batch(step: int) -> Batch:
        rows = draw(step)
        return Batch(step, np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:]))

    return batch


def _synthetic(workload: Workload) -> Callable[[int], NDArray[np.int32]]:
    if workload.data.name != synthetic.NAME:
        raise WorkloadError(f"unknown synthetic stream {workload.data.name!r}", f"known: {synthetic.NAME}")
    rows, columns = workload.global_batch, workload.sequence_length + 1
    return lambda step: synthetic.zipf_successor(workload.seed, step, rows, columns, workload.model.vocab_size)


def _windows_of(workload: Workload) -> Callable[[int], NDArray[np.int32]]:
    """Rows cut at random places out of one long text."""
    tokens = _stored_tokens(workload)
    columns = workload.sequence_length + 1
    starts = len(tokens) - columns + 1
    if starts < 1:
        raise WorkloadError(f"the data has {len(tokens)} tokens, one sequence needs {columns}", "use more data")

    def draw(step: int) -> NDArray[np.int32]:
        first = whole_numbers(workload.seed, f"batch/{step}", workload.global_batch, starts)
        return tokens[first[:, None] + np.arange(columns)].astype(np.int32)

    return draw


def _stored_tokens(workload: Workload) -> NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]:
    data = workload.data
    if data.kind == "tokens":
        return open_tokens(data)
    return corpus_bytes(data.name or "", data.sha256 or "")
