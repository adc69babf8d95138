"""Of which blocks attention is, and whether its weights are kept, by what autograd is given to save."""

import pytest

torch = pytest.importorskip("torch")

from torch.autograd.graph import saved_tensors_hooks  # noqa: E402

from workloads.models.causal_blocks_torch import blocked_attention  # noqa: E402

WIDTH, HEADS = 8, 2


@pytest.mark.parametrize(
    ("dtype", "positions", "kept"),
    [
        (torch.bfloat16, 512, True),
        (torch.bfloat16, 513, False),
        (torch.float32, 256, True),
        (torch.float32, 257, False),
    ],
)
def test_they_are_kept_while_those_of_a_query_take_a_kibibyte(dtype: torch.dtype, positions: int, kept: bool) -> None:
    assert bool(_weights(dtype, positions)) == kept


@pytest.mark.parametrize(("dtype", "queries"), [(torch.bfloat16, 128), (torch.float32, 64)])
def test_a_block_of_a_short_sequence_has_as_many_queries_as_take_256_bytes(dtype: torch.dtype, queries: int) -> None:
    seen = range(queries, 256 + 1, queries)
    assert _weights(dtype, 256) == [(1, HEADS * queries, keys) for keys in seen]


def _weights(dtype: torch.dtype, positions: int) -> list[tuple[int, ...]]:
    """The shapes of those that are saved."""
    q, k, v = (torch.randn(1, heads, positions, WIDTH, dtype=dtype, requires_grad=True) for heads in (HEADS, 1, 1))
    saved = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tuple(tensor.shape))
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        blocked_attention(q, k, v, torch.float32)
    return [shape for shape in saved if shape[-1] > WIDTH]
