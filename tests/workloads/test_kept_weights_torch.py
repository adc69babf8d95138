"""Whether attention's weights are kept for the backward pass, by what autograd is given to save."""

import pytest

torch = pytest.importorskip("torch")

from torch.autograd.graph import saved_tensors_hooks  # noqa: E402

from workloads.models.causal_blocks_torch import blocked_attention  # noqa: E402

WIDTH = 8


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
    q, k, v = (torch.randn(1, heads, positions, WIDTH, dtype=dtype, requires_grad=True) for heads in (2, 1, 1))
    saved = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor)
        return tensor

    with saved_tensors_hooks(note, lambda tensor: tensor):
        blocked_attention(q, k, v, torch.float32)
    assert any(tensor.shape[-1] > WIDTH for tensor in saved) == kept
