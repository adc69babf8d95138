"""The gradient of the embedding, which is taken by torch's own kernel."""

from collections.abc import Callable, Iterator

import pytest

torch = pytest.importorskip("torch")

from workloads.models import embedding_torch  # noqa: E402
from workloads.models.embedding_torch import embedded  # noqa: E402

ROWS, WIDTH = 4, 16


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def _gradient(look_up: Callable[..., torch.Tensor], tokens: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    table = torch.zeros(ROWS, WIDTH, requires_grad=True)
    (look_up(tokens, table) * factors).sum().backward()
    assert table.grad is not None
    return table.grad


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_its_gradient_is_torch_s(kind: torch.dtype) -> None:
    tokens, factors = torch.tensor([[2, 0, 2], [2, 3, 0]], dtype=kind), torch.randn(2, 3, WIDTH)
    assert torch.equal(_gradient(embedded, tokens, factors), _gradient(torch.nn.functional.embedding, tokens, factors))


def test_compiled_it_adds_in_the_order_of_the_tokens(two_threads: None) -> None:
    torch.manual_seed(0)
    tokens, factors = torch.randint(ROWS, (8192,), dtype=torch.int32), torch.randn(8192, WIDTH)
    in_order = torch.zeros(ROWS, WIDTH)
    for token, gradient in zip(tokens.tolist(), factors, strict=True):
        in_order[token] += gradient
    compiled = torch.compile(embedded, dynamic=False, fullgraph=True)
    assert torch.equal(_gradient(compiled, tokens, factors), in_order)


def test_what_torch_compile_is_told_of_the_gradient_holds() -> None:
    arguments = (torch.randn(5, WIDTH), torch.tensor([0, 1, 1, 3, 0], dtype=torch.int32), ROWS)
    torch.library.opcheck(embedding_torch._of_table, arguments)
