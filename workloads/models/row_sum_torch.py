"""The sum of a matrix's rows in torch, on a CPU always by torch's own kernel.

torch.compile would make one loop of it and of what the rows are computed from, some columns at a time, which reads a
cache line of each row of every tensor: more than twice as long (docs/performance.md).
"""

from torch import Tensor

from workloads.models.opaque_torch import opaque


def sum_of_rows(rows: Tensor) -> Tensor:
    """(N, D) -> (D)."""
    return _as_memory_lies(rows) if rows.device.type == "cpu" else rows.sum(0)


def _sum(rows: Tensor) -> Tensor:
    return rows.sum(0)


def _unset(rows: Tensor) -> Tensor:
    return rows.new_empty(rows.shape[1])


_as_memory_lies = opaque("sum_of_rows", "Tensor rows", _sum, _unset)
