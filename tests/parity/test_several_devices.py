"""Two devices at the same global batch walk the trajectory of one: processes over gloo for torch, a mesh for jax."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from parity_workload import deviation, small_workload

from backends.contract import StepLoss
from backends.recipe import Recipe, resolve
from backends.registry import load_backend
from bench.plan import Case, MeasurePlan
from bench.process import WorkerEnd, run_worker
from bench.worker import job_line
from workloads.spec import Workload

thorough = pytest.mark.skipif(not os.environ.get("FAIRCHIP_STAND_IN"), reason="takes a minute: make test-stand-in")

pytest.importorskip("torch")
pytest.importorskip("jax")

STEPS = 20
PLAN = MeasurePlan(windows=1, window_seconds=0.01, warmup_minimum_steps=STEPS, warmup_maximum_seconds=1.0)
EAGER, JITTED = Recipe(compile="off"), Recipe(compile="whole")
LIMIT = 1e-10


def end_of(workload: Workload, backend: str, recipe: Recipe, devices: int, cache: Path) -> WorkerEnd:
    """One run as the runner starts it."""
    case = Case(
        workload=workload,
        backend=backend,
        device_type="cpu",
        recipe=resolve(recipe, workload, devices),
        world_size=devices,
        process_per_device=load_backend(backend).probe().process_per_device,
    )
    environment = load_backend(backend).environment(case.recipe, cache)
    return run_worker(job_line(case, "cold", PLAN), environment, 300.0, lambda progress: None)


def trajectory(workload: Workload, backend: str, recipe: Recipe, devices: int, cache: Path) -> list[StepLoss]:
    """Its first steps."""
    end = end_of(workload, backend, recipe, devices, cache)
    assert end.measurement is not None, f"{end.reason}\n{end.stderr_tail}"
    assert end.measurement.session["devices"] == devices
    steps = end.measurement.steps[:STEPS]
    return [StepLoss(step=one.step, loss=one.loss or 0.0, gradient_norm=one.gradient_norm or 0.0) for one in steps]


@pytest.fixture(scope="module")
def of_one(tmp_path_factory: pytest.TempPathFactory) -> list[StepLoss]:
    """The trajectory of one device."""
    return trajectory(small_workload(), "torch-cpu", EAGER, 1, tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    ("backend", "recipe"),
    [
        ("torch-cpu", replace(EAGER, sharding="optimizer", micro_batch=1)),
        ("torch-cpu", replace(EAGER, update="one-pass")),
        ("torch-cpu", replace(EAGER, sharding="all", micro_batch=1, loss_part_tokens=10)),
        pytest.param("torch-cpu", Recipe(compile="parts", sharding="all", micro_batch=1), marks=thorough),
        ("jax-cpu", JITTED),
        ("jax-cpu", replace(JITTED, sharding="all", loss_part_tokens=24)),
    ],
)
def test_two_devices_walk_the_trajectory_of_one(
    backend: str, recipe: Recipe, of_one: list[StepLoss], tmp_path: Path
) -> None:
    assert deviation(trajectory(small_workload(), backend, recipe, 2, tmp_path), of_one) <= LIMIT


def test_a_rank_that_fails_ends_the_job_with_its_reason(tmp_path: Path) -> None:
    """The others would wait for it in their next collective, for half an hour by torch's default."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, threading\n"
        "if os.environ.get('RANK') == '1':\n"
        "    threading.Timer(8.0, os.kill, (os.getpid(), signal.SIGKILL)).start()\n"
    )
    workload = replace(small_workload(), global_batch=512)
    case = Case(
        workload=workload,
        backend="torch-cpu",
        device_type="cpu",
        recipe=resolve(EAGER, workload, 2),
        world_size=2,
    )
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    end = run_worker(
        job_line(case, "cold", replace(PLAN, windows=8, window_seconds=60.0)), environment, 120.0, lambda progress: None
    )
    assert end.status == "failed"
    assert end.reason.startswith("rank 1 was killed (SIGKILL)")


def test_one_graph_and_shared_parameters_are_refused_together(tmp_path: Path) -> None:
    end = end_of(small_workload(), "torch-cpu", Recipe(compile="whole", sharding="all"), 2, tmp_path)
    assert end.status == "failed"
    assert "set compile = 'parts'" in end.reason
