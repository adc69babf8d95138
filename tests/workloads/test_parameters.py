"""Counts against the published ones, initial values, FLOPs."""

import math

import numpy as np
import pytest

from workloads.catalog import find_workload
from workloads.flops import FORMULAS, flops_per_token
from workloads.parameters import initial_parameter, initial_parameters
from workloads.random_bits import normal_like, raw_bits, whole_numbers
from workloads.shapes import EMBEDDING, parameter_count, parameter_shapes


@pytest.mark.parametrize(
    ("name", "count"),
    [("llama-3.2-1b-2k", 1_235_814_400), ("llama-3.1-8b-8k", 8_030_261_248)],
)
def test_published_parameter_counts(name: str, count: int) -> None:
    assert parameter_count(find_workload(name).model) == count


def test_initial_values_are_these_bits_for_ever() -> None:
    """Numbers that another machine, numpy or processor must reproduce."""
    value = initial_parameter(EMBEDDING, (4, 2), 0.02, seed=0)
    assert value.dtype == np.float32
    assert [x.hex() for x in value.ravel().tolist()] == PINNED


PINNED = [
    "-0x1.06b7ac0000000p-11",
    "0x1.2291a00000000p-7",
    "-0x1.0fb9600000000p-10",
    "-0x1.92bc880000000p-9",
    "0x1.09d15e0000000p-7",
    "0x1.5e15060000000p-8",
    "0x1.e4c1fa0000000p-6",
    "0x1.1459440000000p-6",
]


def test_each_tensor_has_its_own_stream() -> None:
    one, other = (initial_parameter(name, (64, 64), 0.02, seed=0) for name in ("a", "b"))
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, initial_parameter("a", (64, 64), 0.02, seed=1))


def test_initial_values_have_the_stated_distribution() -> None:
    values = normal_like(0, "test", 200_000, 0.02).astype(np.float64)
    assert abs(values.mean()) < 4 * 0.02 / math.sqrt(values.size)
    assert values.std() == pytest.approx(0.02, rel=0.01)
    assert np.abs(values).max() <= 0.02 * math.sqrt(12) + 1e-6
    assert ((values / 0.02) ** 4).mean() - 3 == pytest.approx(-0.3, abs=0.05)


def test_norm_weights_start_at_one_and_all_are_made() -> None:
    model = find_workload("smoke").model
    made = dict(initial_parameters(model, 0))
    assert {name: value.shape for name, value in made.items()} == parameter_shapes(model)
    assert all((value == 1).all() for name, value in made.items() if "norm" in name)


def test_raw_bits_are_a_stable_stream() -> None:
    assert raw_bits(0, "test", 2).tolist() == RAW
    assert whole_numbers(0, "test", 3, 10).tolist() == [bits % 10 for bits in raw_bits(0, "test", 3).tolist()]


RAW = [2981486095432561627, 5106456613496199981]


def test_flops_of_the_conventions_recompute_published_utilisations() -> None:
    """6,667 tokens/s per H100 on Llama-3.1-8B at 8192 is 32.5, 34.7, 39.0 or 41.2 % of 989 TFLOP/s."""
    flops = flops_per_token(find_workload("llama-3.1-8b-8k"))
    assert flops.keys() == FORMULAS.keys()
    shares = [round(6667 * count / 989e12 * 100, 1) for count in flops.values()]
    assert shares == [32.5, 34.7, 39.0, 41.2]


def test_a_tied_head_is_still_multiplied() -> None:
    flops = flops_per_token(find_workload("llama-3.2-1b-2k"))
    assert flops["no-embedding, full attention"] >= flops["6N"]
