"""The norm's gradients, which are written out."""

import pytest

torch = pytest.importorskip("torch")

from workloads.models import norm_torch, row_sum_torch  # noqa: E402


def test_its_gradients_are_those_of_differences() -> None:
    torch.manual_seed(0)
    x, weight = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, 8), (8,)))
    assert torch.autograd.gradcheck(lambda x, weight: norm_torch.rms_norm(x, weight, 1e-5), (x, weight))


def test_what_torch_compile_is_told_of_the_sum_holds() -> None:
    torch.library.opcheck(row_sum_torch._as_memory_lies, (torch.randn(5, 3),))
