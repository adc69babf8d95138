"""A warm start of torch: what autograd and Inductor made of the model comes out of the cache."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.registry import load_backend
from workloads.catalog import find_workload

torch = pytest.importorskip("torch")

START_TWICE = """
import torch
from torch._dynamo.utils import counters
from backends.contract import Rank
from backends.recipe import resolve
from backends.registry import load_backend
from workloads.catalog import find_workload
from workloads.data import batch_source

workload, backend = find_workload("smoke"), load_backend("torch-cpu")
recipe = resolve(backend.recipes(workload)["as-is"], workload, 1)
losses = []
for start in ("cold", "warm"):
    torch._dynamo.reset()
    counters.clear()
    with backend.open(workload, recipe, Rank()) as session:
        session.step(batch_source(workload)(0))
        losses += session.losses()
    print(start, *(f"{name}={count}" for name, count in counters["aot_autograd"].items()))
assert losses[0] == losses[1], losses
"""


@pytest.mark.skipif(torch.__version__ < (2, 11), reason="torch 2.9 keeps no program with a checkpoint in it")
def test_a_warm_start_does_not_differentiate_the_model_again(tmp_path: Path) -> None:
    """Its autograd functions keep torch from looking in that cache, if nobody says that it may."""
    backend = load_backend("torch-cpu")
    variables = backend.environment(backend.recipes(find_workload("smoke"))["as-is"], tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", START_TWICE],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cold, warm = done.stdout.splitlines()
    assert "autograd_cache_saved=1" in cold
    assert "autograd_cache_hit=1" in warm
    assert "bypass" not in done.stdout
