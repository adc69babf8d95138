"""How matrices are multiplied, type and kernel: as the recipe says, or whichever this device finds faster."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("jax")

from backends import product_choice, products_torch  # noqa: E402
from backends.contract import Rank  # noqa: E402
from backends.errors import BackendError  # noqa: E402
from backends.recipe import Recipe  # noqa: E402
from backends.registry import load_backend  # noqa: E402
from workloads.catalog import find_workload  # noqa: E402
from workloads.data import batch_source  # noqa: E402
from workloads.models import product_torch  # noqa: E402

SMOKE = find_workload("smoke")
MIXED = replace(SMOKE, precision="bf16-mixed")


@pytest.mark.parametrize(
    ("products", "operands", "master", "wide"),
    [
        ("operands", 10.0, 1.0, False),
        ("master", 1.0, 10.0, True),
        ("fastest", 10.0, 1.0, True),
        ("fastest", 1.0, 10.0, False),
        ("fastest", 1.1, 1.0, False),
    ],
)
def test_the_recipe_decides_or_leaves_it_to_the_device(
    monkeypatch: pytest.MonkeyPatch, products: str, operands: float, master: float, wide: bool
) -> None:
    seconds = {"operands": operands, "master": master}
    monkeypatch.setattr(product_choice, "best_seconds", lambda *products: [seconds[product()] for product in products])
    recipe = Recipe(products=products)
    assert product_choice.multiply_in_master(recipe, lambda: "operands", lambda: "master") is wide


@pytest.mark.parametrize(
    "durations",
    [[99.0, 0.3, 0.1, 0.05], [99.0, 1.7], [99.0, 0.02, 0.02, 0.02, 0.02, 0.01, 0.02]],
    ids=["a few", "a long one", "many short ones"],
)
def test_the_quickest_call_counts_and_the_first_one_does_not(
    monkeypatch: pytest.MonkeyPatch, durations: list[float]
) -> None:
    now, left = [0.0], list(durations)

    def product() -> None:
        now[0] += left.pop(0)

    monkeypatch.setattr(product_choice.time, "perf_counter", lambda: now[0])
    assert product_choice.best_seconds(product) == [pytest.approx(min(durations))]
    assert not left


def test_they_take_turns() -> None:
    called = []
    product_choice.best_seconds(lambda: called.append("a"), lambda: called.append("b"))
    assert called == ["a", "b"] * (len(called) // 2)
    assert len(called) > 8


@pytest.mark.parametrize(
    ("asked", "of_convolution", "throughout", "chosen"),
    [
        ("matmul", 0.1, 0.1, "matmul"),
        ("convolution", 9.0, 0.1, "convolution"),
        ("convolution-throughout", 0.1, 9.0, "convolution-throughout"),
        ("fastest", 0.8, 0.9, "convolution"),
        ("fastest", 0.8, 0.7, "convolution-throughout"),
        ("fastest", 0.965, 0.98, "convolution"),
        ("fastest", 0.98, 0.975, "matmul"),
        ("fastest", 9.0, 9.0, "matmul"),
    ],
)
def test_the_recipe_names_the_kernel_or_leaves_it_to_the_device(
    asked: str, of_convolution: float, throughout: float, chosen: str
) -> None:
    seconds = {"matmul": 1.0, "convolution": of_convolution, "convolution-throughout": throughout}
    assert product_choice.chosen_kernel(Recipe(product_kernel=asked), lambda: seconds) == chosen


def test_nothing_is_measured_that_the_recipe_settles() -> None:
    assert product_choice.chosen_kernel(Recipe(), pytest.fail) == "matmul"


def test_the_model_is_measured_for_as_many_tokens_as_a_pass_has(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    measured = {"matmul": 1.0, "convolution": 0.5}
    monkeypatch.setattr(products_torch, "_seconds_by_kernel", lambda *args: asked.append(args[2]) or measured)
    for micro_batch, tokens in ((1, SMOKE.sequence_length), (None, SMOKE.tokens_per_step)):
        recipe = Recipe(product_kernel="fastest", micro_batch=micro_batch)
        assert products_torch.chosen_numerics(SMOKE, recipe, torch.device("cpu")).product_kernel == "convolution"
        assert asked.pop() == min(tokens, product_choice.MOST_TOKENS)


def test_narrow_operands_leave_no_kernel_to_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else noise would choose: 0.98 to 1.04 of each other's time was seen."""
    monkeypatch.setattr(products_torch, "best_seconds", lambda *products: [1.0, 0.1, 0.2])
    recipe, device = Recipe(product_kernel="fastest"), torch.device("cpu")
    assert products_torch.chosen_numerics(MIXED, recipe, device).product_kernel == "matmul"
    wide = replace(recipe, products="master")
    assert products_torch.chosen_numerics(MIXED, wide, device).product_kernel == "convolution"


def test_a_convolution_of_width_1_is_the_same_product() -> None:
    by_kernel = [Recipe(compile="off", product_kernel=kernel) for kernel in product_torch.PRODUCT_KERNELS]
    exact = replace(SMOKE, precision="fp64")
    one, *others = (_losses("torch-cpu", exact, recipe) for recipe in by_kernel)
    assert others == [pytest.approx(one, rel=1e-12)] * 2


@pytest.mark.parametrize("kernel", ["convolution", "convolution-throughout"])
def test_compiled_it_has_the_same_gradients(kernel: str) -> None:
    """Between loops that torch.compile writes, of operands that do not lie in rows."""
    operands = [torch.randn(shape, dtype=torch.float64).mT.requires_grad_() for shape in ((2, 5, 3), (5, 7))]

    def gradients(product: Callable[..., Any]) -> tuple[Any, ...]:
        return torch.autograd.grad(product(*operands).square().sum(), operands)

    product = product_torch.PRODUCT_KERNELS[kernel]
    compiled = torch.compile(lambda x, weight: product(x.sin(), weight), fullgraph=True, dynamic=False)
    plain = gradients(lambda x, weight: x.sin() @ weight.mT)
    for found, true in zip(gradients(compiled), plain, strict=True):
        torch.testing.assert_close(found, true, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kernel", ["convolution", "convolution-throughout"])
@pytest.mark.parametrize("outputs", [7, 9], ids=["whole", "in parts"])
def test_a_convolutions_gradients_are_those_of_the_definition(
    monkeypatch: pytest.MonkeyPatch, kernel: str, outputs: int
) -> None:
    monkeypatch.setattr(product_torch, "TALL", 8)
    monkeypatch.setattr(product_torch, "PART", 4)
    x, weight = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, 5), (outputs, 5)))
    torch.autograd.gradcheck(product_torch.PRODUCT_KERNELS[kernel], (x, weight))
    torch.library.opcheck(product_torch.PRODUCT_KERNELS[kernel], (x, weight))


def test_what_torch_compile_is_told_of_the_gradients_holds() -> None:
    torch.library.opcheck(product_torch.convolved_back, (torch.randn(2, 3, 7), torch.randn(7, 5)))
    torch.library.opcheck(product_torch.convolved_weight, (torch.randn(2, 3, 7), torch.randn(2, 3, 5)))


def test_jax_has_no_such_kernel() -> None:
    with pytest.raises(BackendError, match="no product_kernel 'convolution'"):
        load_backend("jax-cpu").open(SMOKE, Recipe(product_kernel="convolution"), Rank())


@pytest.mark.parametrize("engine", ["torch-cpu", "jax-cpu"])
def test_products_in_the_master_type_are_those_of_fp32(engine: str) -> None:
    compile_ = "off" if engine == "torch-cpu" else "whole"
    narrow, wide = Recipe(compile=compile_), Recipe(compile=compile_, products="master")
    assert _losses(engine, MIXED, wide) == _losses(engine, SMOKE, narrow)
    assert _losses(engine, MIXED, wide) != _losses(engine, MIXED, narrow)


@pytest.mark.parametrize("engine", ["torch-cpu", "jax-cpu"])
def test_the_session_says_what_ran(engine: str) -> None:
    for products, operands, bits in (("operands", "bfloat16", 7), ("master", "float32", 23)):
        with load_backend(engine).open(MIXED, Recipe(compile="off", products=products), Rank()) as session:
            told = session.describe()
        assert told.get("product_kernel", "matmul") == "matmul"
        assert (told["operand_dtype"], told["operand_fraction_bits"]) == (operands, bits)


def _losses(engine: str, workload, recipe: Recipe) -> list[float]:
    batches = batch_source(workload)
    with load_backend(engine).open(workload, recipe, Rank()) as session:
        for step in range(3):
            session.step(batches(step))
        return [step.loss for step in session.losses()]
