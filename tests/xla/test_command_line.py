"""A whole case through the real command: worker process, windows, gates and the record."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from xla_cpu import require_torch_xla

require_torch_xla()

ROOT = Path(__file__).parents[2]
EFFORT = ("--windows", "4", "--runs", "1", "--cold-starts", "0")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The one record of the smoke workload on a plug-in that is our backend on the CPU."""
    site, out = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("records") / "one"
    info = site / "fairchip_xla_cpu-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fairchip-xla-cpu\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fairchip.backends]\ntorch-xla-cpu = xla_cpu:XlaOnCpu\n")
    arguments = ("run", "--workload", "smoke", "--backend", "torch-xla-cpu", *EFFORT, "--out", str(out))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "tests"), str(ROOT)])},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = out.glob("*.json")
    return json.loads(path.read_text())


def test_it_is_a_whole_run_and_says_that_it_is_no_measurement(record: dict) -> None:
    assert (record["status"], record["reason"]) == ("ok", "")
    assert record["provenance"] == "simulated"
    assert record["case"]["recipe"]["loss"] == "masked"
    assert record["environment"]["variables"]["PJRT_DEVICE"] == "CPU"
    assert record["environment"]["variables"]["NEURON_CC_FLAGS"] == "--auto-cast=none"


@pytest.mark.parametrize(
    "gate", ["parity", "loss", "steps", "recompile", "precision", "device", "below-peak", "as-recipe"]
)
def test_the_gates_that_depend_on_the_session_pass(record: dict, gate: str) -> None:
    (found,) = [one for one in record["gates"] if one["id"] == gate]
    assert found["outcome"] == "pass", found["evidence"]


def test_the_synchronisation_gate_finds_nothing_left_behind(record: dict) -> None:
    """A busy machine may cost the scaling its limit; that an idle barrier is free must hold on any."""
    checks = record["measurement"]["self_checks"]
    assert sorted(check["idle_seconds"] / check["twice_seconds"] for check in checks)[1] <= 0.005
