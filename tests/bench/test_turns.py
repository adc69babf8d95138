"""Live sessions that take turns."""

import subprocess
import sys

import pytest

from bench.errors import UsageError
from bench.turns import _case
from workloads.catalog import find_workload

SMOKE = find_workload("smoke")


def test_sessions_take_turns() -> None:
    """Real ones: a line each, the first is the measure of the others, and both walk one trajectory."""
    command = [sys.executable, "-m", "bench.turns", "smoke", "jax-cpu", "jax-cpu,attention=product"]
    done = subprocess.run(
        [*command, "--rounds", "2", "--window-seconds", "0"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ready: jax-cpu float32\n" in done.stderr
    assert "round 2 of 2: 1.000 " in done.stderr
    first, other = done.stdout.splitlines()
    assert "x1.000 [1.000, 1.000]" in first
    assert other.endswith("jax-cpu,attention=product")
    assert "at step 7 " in first, "two to warm up, then one before each of three windows of one"
    assert first.split("loss ")[1].split("  ")[0] == other.split("loss ")[1].split("  ")[0]


def test_a_case_is_a_backend_with_changed_fields() -> None:
    recipe = _case(SMOKE, "torch-cpu,compile=off,loss_part_tokens=64,rematerialise=true,environment.A=b").recipe
    assert (recipe.compile, recipe.loss_part_tokens, recipe.rematerialise) == ("off", 64, True)
    assert recipe.environment["A"] == "b"
    assert "MALLOC_TRIM_THRESHOLD_" in recipe.environment
    assert _case(SMOKE, "jax-cpu,loss_part_tokens=none").recipe.loss_part_tokens is None


def test_a_case_may_name_a_recipe_that_ships() -> None:
    assert "MALLOC_TRIM_THRESHOLD_" in _case(SMOKE, "one-file-cpu").recipe.environment
    assert _case(SMOKE, "one-file-cpu:as-shipped").recipe.environment == {}
    assert _case(SMOKE, "one-file-cpu:as-shipped,environment.A=b").recipe.environment == {"A": "b"}


def test_an_unknown_field_is_a_mistake() -> None:
    with pytest.raises(UsageError):
        _case(SMOKE, "torch-cpu,colour=red")
