"""The whole path of the Neuron backends on a machine that is not there, as it is documented and with its faults."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from neuron_stand_in.process import thorough
from rich.console import Console
from simulated_trainium import JAX, TORCH, release_of, simulated_trainium

from backends.neuron.jax_platform import NEWEST_JAX, OLDEST_JAX
from backends.recipe import resolve
from backends.registry import availability, load_backend
from bench.campaign import run_campaign
from bench.forecast import Forecast
from bench.plan import Case, MeasurePlan
from bench.progress import Display
from bench.schedule import Campaign
from results.gates import evaluate
from results.record import Measurement, RunRecord
from results.store import load_all
from workloads.catalog import find_workload

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

PLAN = MeasurePlan(windows=2, window_seconds=0.1, warmup_minimum_steps=20, time_limit_seconds=120.0)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """On the simulated trn2.3xlarge; skips where the stand-in cannot be built."""
    with simulated_trainium(tmp_path_factory.mktemp("trn2")) as patch:
        yield patch


def case_of(backend: str, devices: int = 1, recipe: str = "as-is", **settings: str) -> Case:
    """Smoke; ``settings`` are the stand-in's variables without their prefix."""
    workload, found = find_workload("smoke"), availability(backend)
    assert found.available, found.reason
    shipped = load_backend(backend).recipes(workload)[recipe]
    variables = {
        **shipped.environment,
        **{f"NEURON_STAND_IN_{name.upper()}": value for name, value in settings.items()},
    }
    return Case(
        workload=workload,
        backend=backend,
        device_type=found.device_type,
        recipe=resolve(replace(shipped, environment=variables, near_device=False), workload, devices),
        world_size=devices,
        devices_per_chip=found.devices_per_chip,
        process_per_device=found.process_per_device,
    )


def records_of(folder: Path, case: Case, plan: MeasurePlan = PLAN, cold_starts: int = 0) -> Sequence[RunRecord]:
    """Its cold starts and one run."""
    campaign = Campaign(suite="test", cases=[case], plan=plan, runs=1, cold_starts=cold_starts, folder=folder)
    with Display(1, Console(file=StringIO())) as display:
        return run_campaign(campaign, display, Forecast(campaign, []), lambda pilot, records: pilot).records


def record_of(folder: Path, case: Case, plan: MeasurePlan = PLAN) -> RunRecord:
    """One run of it."""
    (record,) = records_of(folder, case, plan)
    return record


def measured(record: RunRecord) -> Measurement:
    """What it measured."""
    assert record.measurement is not None, f"{record.reason}\n{record.stderr_tail}"
    return record.measurement


def lost(record: RunRecord) -> set[str]:
    """Required gates that failed or could not tell; the short plan leaves others unknown."""
    return {gate.id for gate in evaluate(record) if gate.required and gate.outcome != "pass"}


@pytest.mark.skipif(torch.__version__ < (2, 10), reason="torch 2.9 has c10d::allreduce_ for its own devices only")
def test_the_command_line_measures_a_chip_of_four_cores(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Four processes; every gate passes, and nothing is priced."""
    command = [sys.executable, "-m", "bench", "run", "--workload", "smoke", "--backend", TORCH, "--runs", "1"]
    command += ["--cold-starts", "0", "--windows", "1", "--out", str(tmp_path), "--usd-per-hour", "2.235"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (timed,) = load_all(sorted(tmp_path.glob("*.json")))
    assert timed.provenance == "simulated"
    assert lost(timed) == set()
    said = measured(timed).session
    assert (said["device_type"], said["device_name"], said["devices"]) == ("neuron", "Trainium2", 4)
    assert (timed.case.world_size, timed.case.devices_per_chip, timed.case.chips) == (4, 4, 1.0)
    assert said["compile"] == "parts"
    assert said["elsewhere"] is None
    assert said["neuron_memory_bytes_per_logical_core"] == 24 * 2**30
    assert said["torch_neuronx_version"] == f"{release_of('torch')}.3.0"
    assert said["neuron_runtime_version"] == "2.28.23.0-dd5879008"
    assert "Trainium2" in done.stdout
    assert "USD/Mtoken at 2.235" not in done.stdout, "a simulated run has no price"


def test_a_cold_start_compiles_and_the_run_after_it_finds_the_cache(
    machine: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cold, timed = records_of(tmp_path, case_of(TORCH), cold_starts=1)
    assert [record.place.role for record in (cold, timed)] == ["cold-start", "timed"]
    assert [measured(record).start_up.cache for record in (cold, timed)] == ["cold", "warm"]
    assert measured(cold).session["compile_seconds_told"] > 0 == measured(timed).session["compile_seconds_told"]
    assert lost(timed) == set()


@thorough
def test_another_recipe_that_ships_computes_the_same(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = record_of(tmp_path, case_of(TORCH, recipe="whole-graph"))
    assert lost(record) == set()
    assert measured(record).session["compile"] == "whole"


@thorough
def test_a_barrier_that_returns_early_makes_no_step_shorter(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Half a millisecond an operation, some 100 in a step: what is not waited for would be most of the time."""
    slow, short = {"op_seconds": "0.0005"}, replace(PLAN, warmup_minimum_steps=4)
    honest = measured(record_of(tmp_path / "honest", case_of(TORCH, **slow), short))
    early = measured(record_of(tmp_path / "early", case_of(TORCH, faults="early-sync", **slow), short))
    pace = [sum(w.seconds for w in each.windows) / sum(w.steps for w in each.windows) for each in (honest, early)]
    assert pace[0] > 0.05
    assert pace[1] > 0.8 * pace[0]


@pytest.mark.parametrize(
    ("faults", "gate", "evidence"),
    [
        ("silent-fallback", "device", "ran elsewhere: on the CPU: aten::"),
        ("recompile-every-N-steps", "recompile", ""),
    ],
)
def test_a_fault_of_the_stack_costs_the_rank(
    machine: pytest.MonkeyPatch, tmp_path: Path, faults: str, gate: str, evidence: str
) -> None:
    record = record_of(tmp_path, case_of(TORCH, faults=faults, fallback_ops="aten::mul,aten::cat"))
    assert gate in lost(record)
    assert evidence in next(found.evidence for found in evaluate(record) if found.id == gate)


@pytest.mark.parametrize(
    ("settings", "status", "said"),
    [
        pytest.param({"faults": "compile-fails"}, "failed", "failed to compile", marks=thorough),
        ({"faults": "no-device"}, "unavailable", "finds no device"),
        ({"memory_bytes": "2000000"}, "out-of-memory", "micro_batch"),
        pytest.param(
            {"memory_bytes": "2000000", "out_of_memory": "runtime"}, "out-of-memory", "micro_batch", marks=thorough
        ),
    ],
)
def test_what_the_stack_cannot_do_is_a_recorded_result(
    machine: pytest.MonkeyPatch, tmp_path: Path, settings: dict[str, str], status: str, said: str
) -> None:
    record = record_of(tmp_path, case_of(TORCH, **settings))
    assert (record.status, said in f"{record.reason} {record.stderr_tail}") == (status, True), record.reason


def test_8b_on_one_chip_is_refused_with_the_sum_before_it_starts(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    workload, case = find_workload("llama-3.1-8b-8k"), case_of(TORCH, devices=4)
    recipe = resolve(replace(load_backend(TORCH).recipes(workload)["as-is"], sharding="all"), workload, 4)
    record = record_of(tmp_path, replace(case, workload=workload, recipe=recipe))
    assert record.status == "out-of-memory"
    assert "AdamW moments 15.0" in record.reason
    assert "which has 24.0 GiB" in record.reason


@pytest.mark.skipif(
    not OLDEST_JAX <= jax.__version_info__[:2] <= NEWEST_JAX, reason="AWS's plug-in takes jax 0.7 to 0.10"
)
def test_jax_with_the_platforms_name_injected_drives_four_devices(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = record_of(tmp_path, case_of(JAX, devices=4))
    assert lost(record) <= {"synchronisation"}, "which is a matter of time, and other tests take theirs meanwhile"
    said = measured(record).session
    assert (said["devices"], said["device_name"], said["visible_cores"]) == (4, "Trainium2", "0-3")
    assert (said["sharding"], said["loss"]) == ("optimizer", "masked")


@thorough
def test_the_open_questions_are_answered_by_the_device(machine: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The stand-in's answers are those that it was made to give."""
    variables = {"NEURON_STAND_IN_FAULTS": "corrupt-scaled-gradients", "TORCH_DEVICE_BACKEND_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "backends.neuron.questions"],
        env={**os.environ, **variables, "TORCH_NEURONX_NEFF_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers = dict(line.split("\t") for line in done.stdout.splitlines())
    scaled = answers["gradients of a loss scaled by no power of two"].split(",")
    right, wrong = (float(part.split()[-1]) for part in scaled)
    assert right > 0.999 > 0.99 > wrong
    assert "accepted" not in answers["AdamW(fused=True)"]
