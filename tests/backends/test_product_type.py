"""In which type matrices are multiplied: as the recipe says, or whichever this device finds faster."""

from dataclasses import replace

import pytest

from backends import product_type
from backends.contract import Rank
from backends.recipe import Recipe
from backends.registry import load_backend
from workloads.catalog import find_workload
from workloads.data import batch_source

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
    monkeypatch.setattr(product_type, "best_seconds", lambda product: seconds[product()])
    recipe = Recipe(products=products)
    assert product_type.multiply_in_master(recipe, lambda: "operands", lambda: "master") is wide


def test_the_quickest_of_a_few_calls_counts_and_the_first_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    durations = iter([99.0, 3.0, 1.0, 2.0])
    now = [0.0]

    def product() -> None:
        now[0] += next(durations)

    monkeypatch.setattr(product_type.time, "perf_counter", lambda: now[0])
    assert product_type.best_seconds(product) == 1.0


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
        assert (told["operand_dtype"], told["operand_fraction_bits"]) == (operands, bits)


def _losses(engine: str, workload, recipe: Recipe) -> list[float]:
    batches = batch_source(workload)
    with load_backend(engine).open(workload, recipe, Rank()) as session:
        for step in range(3):
            session.step(batches(step))
        return [step.loss for step in session.losses()]
