"""The future of a block of queries as a table to add to scores: minus infinity where a key is later, else nothing.

Opaque to torch.compile, so that its loops read the table, the same for all layers, and compare no positions; as a term
of the product, which is the other way to have none compared, it would first be copied to every head. The device goes by
name, which torch.compile can hand over in C++ too (`TORCHINDUCTOR_CPP_WRAPPER`).
"""

import torch
from torch import Tensor

from workloads.models.opaque_torch import opaque


def future(rows: slice, groups: int, dtype: torch.dtype, device: torch.device, *, turned: bool = False) -> Tensor:
    """(G R, S) for R queries of each of G heads and the S keys up to the last of them; ``turned``: (S, G R)."""
    return _table(groups, rows.start, rows.stop, turned, dtype, str(device))


def _filled(groups: int, start: int, stop: int, turned: bool, dtype: torch.dtype, device: str) -> Tensor:
    later = torch.full((stop - start, stop), float("-inf"), dtype=dtype, device=device).triu(1 + start)
    return later.mT.repeat(1, groups) if turned else later.repeat(groups, 1)


def _unset(groups: int, start: int, stop: int, turned: bool, dtype: torch.dtype, device: str) -> Tensor:
    shape = (groups * (stop - start), stop)
    return torch.empty(shape[::-1] if turned else shape, dtype=dtype, device=device)


_table = opaque("future", "int groups, int start, int stop, bool turned, ScalarType dtype, str device", _filled, _unset)
