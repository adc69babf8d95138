"""What can only be seen on a GPU: numerics, kernels that really ran, replayed graphs, memory, energy.

Each test opens a session in a process of its own, with the environment that the runner would set.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends.nvml import samplers
from backends.registry import load_backend
from workloads.catalog import find_workload

TRAIN = """
import json, sys
from dataclasses import replace
from backends.contract import Rank
from backends.recipe import resolve
from backends.registry import load_backend
from workloads.catalog import find_workload
from workloads.data import batch_source
asked = json.loads(sys.argv[1])
workload = replace(find_workload(asked["workload"]), precision=asked["precision"])
backend = load_backend(asked["backend"])
recipe = resolve(replace(backend.recipes(workload)["as-is"], **asked["change"]), workload)
batches, kernels = batch_source(workload), []
with backend.open(workload, recipe, Rank()) as session:
    for step in range(asked["steps"]):
        session.step(batches(step))
    losses = [one.loss for one in session.losses()]
    before = session.compiled_graphs()
    if asked["profile"]:
        from torch.profiler import ProfilerActivity, profile
        with profile(activities=[ProfilerActivity.CUDA]) as seen:
            session.step(batches(asked["steps"]))
            session.sync()
        kernels = [event.key for event in seen.key_averages()]
    else:
        session.step(batches(asked["steps"]))
        session.sync()
    told = dict(session.describe())
    memory = session.memory()
    compiled = session.compiled_graphs() - before
print("ANSWER" + json.dumps({"losses": losses, "told": told, "kernels": kernels, "compiled": compiled,
      "peak_bytes": memory.peak_bytes if memory else None}))
"""


def train(
    backend: str,
    tmp_path: Path,
    workload: str = "smoke",
    precision: str = "fp32",
    steps: int = 20,
    profile: bool = False,
    **change: object,
) -> dict:
    """What a session on the GPU did."""
    asked = {"backend": backend, "workload": workload, "precision": precision, "steps": steps}
    asked |= {"profile": profile, "change": change}
    loaded = load_backend(backend)
    variables = loaded.environment(loaded.recipes(find_workload(workload))["as-is"], tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, json.dumps(asked)],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert "ANSWER" in done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout.partition("ANSWER")[2])


def deviation(answer: dict, workload: str, precision: str) -> tuple[float, float]:
    """Largest relative one from float64, and the policy's tolerance."""
    from dataclasses import replace

    from workloads.references import find_trajectory, tolerance

    trajectory = find_trajectory(replace(find_workload(workload), precision=precision))
    assert trajectory is not None
    limit, _ = tolerance(trajectory, precision)
    true = trajectory.losses
    return max(abs(a - b) / abs(b) for a, b in zip(answer["losses"], true, strict=False)), limit


@pytest.mark.parametrize("backend", ["torch-cuda", "jax-cuda"])
@pytest.mark.parametrize("precision", ["fp32", "bf16-mixed"])
@pytest.mark.parametrize("workload", ["smoke", "llama-tiny"])
def test_the_shipped_recipe_tracks_float64(backend: str, precision: str, workload: str, tmp_path: Path) -> None:
    answer = train(backend, tmp_path, workload, precision)
    found, limit = deviation(answer, workload, precision)
    assert found <= limit
    assert answer["told"]["device_type"] == "cuda"
    assert answer["told"]["accumulation_exact"] is True
    assert answer["told"]["operand_fraction_bits"] >= (23 if precision == "fp32" else 7), "TF32 keeps 10"
    assert answer["compiled"] == 0


@pytest.mark.parametrize(
    ("attention", "kernel", "launched"),
    [
        ("sdpa-cudnn", "cudnn attention", ("cudnn",)),
        ("sdpa-flash", "flash attention", ("flash",)),
        ("sdpa-efficient", "efficient attention", ("fmha", "efficient")),
    ],
)
def test_the_attention_that_is_told_is_the_one_that_ran(
    attention: str, kernel: str, launched: tuple[str, ...], tmp_path: Path
) -> None:
    """By the names of the kernels in a profile. The efficient one knows no groups: llama-tiny has them or not."""
    answer = train("torch-cuda", tmp_path, "llama-tiny", "bf16-mixed", steps=3, profile=True, attention=attention)
    assert answer["told"]["attention_kernel"] == kernel
    assert any(part in name.lower() for name in answer["kernels"] for part in launched), answer["kernels"]


@pytest.mark.parametrize("mode", ["reduce-overhead", "max-autotune-no-cudagraphs"])
@pytest.mark.parametrize("micro_batch", [None, 1])
def test_replayed_graphs_are_the_same_mathematics(mode: str, micro_batch: int | None, tmp_path: Path) -> None:
    answer = train("torch-cuda", tmp_path, compile_mode=mode, micro_batch=micro_batch)
    found, limit = deviation(answer, "smoke", "fp32")
    assert found <= limit


@pytest.mark.parametrize("backend", ["jax-cuda"])
@pytest.mark.parametrize("change", [{"layers": "scan"}, {"rematerialise": True}, {"attention": "sdpa"}])
def test_every_jax_recipe_tracks_float64(backend: str, change: dict, tmp_path: Path) -> None:
    answer = train(backend, tmp_path, "llama-tiny", "bf16-mixed", **change)
    found, limit = deviation(answer, "llama-tiny", "bf16-mixed")
    assert found <= limit


@pytest.mark.parametrize("backend", ["torch-cuda", "jax-cuda"])
def test_a_1b_step_holds_no_whole_float32_scores(backend: str, tmp_path: Path) -> None:
    """8 sequences of 2048 over 128,256 words are 7.8 GiB in float32; gradients alone would be another."""
    held = train(backend, tmp_path, "llama-3.2-1b-2k", "bf16-mixed", steps=2, micro_batch=8)["peak_bytes"]
    states = 4 * 4 * 1.24e9
    assert held < states + 32 * 2**30


def test_the_counter_moves_and_the_card_is_at_work() -> None:
    sampler = samplers(1)[0]
    first = sampler.read()
    time.sleep(1.0)
    second = sampler.read()
    sampler.close()
    assert "missing" not in first, first
    watts = second["energy_joules"] - first["energy_joules"]
    assert 10 < watts < 1500
    assert watts == pytest.approx(second["power_watts"], rel=0.7)
