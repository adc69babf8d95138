"""The command line as a person meets it: real commands in a real process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from backends.cuda import gpu_count

ROOT = Path(__file__).parents[2]


def fairchip(*arguments: str, cwd: Path | None = None, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-P", "-m", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1", **environment},
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One real run on both CPU backends, from another directory, into a path with a space and an umlaut."""
    folder = tmp_path_factory.mktemp("some where ü")
    for attempt in ("one", "two", "three"):  # a machine that is busy with other things may cost a run its rank
        done = fairchip("bench", "--suite", "smoke", "--out", f"runs/{attempt}", "--strict", cwd=folder)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stderr
    assert f"records: runs/{attempt}" in done.stdout
    assert "[2/2]" in done.stderr
    return folder / "runs" / attempt


def test_smoke_measures_and_says_where_things_are(measured: Path) -> None:
    records = [json.loads(path.read_text()) for path in measured.glob("*.json")]
    assert {record["case"]["backend"] for record in records} == {"torch-cpu", "jax-cpu"}
    assert {record["status"] for record in records} == {"ok"}
    required = [gate for record in records for gate in record["gates"] if gate["required"]]
    assert {gate["outcome"] for gate in required} == {"pass"}
    report = (measured / "report.md").read_text()
    assert "torch-cpu" in report
    assert "jax-cpu" in report


def test_a_report_needs_no_framework_and_reprices(measured: Path) -> None:
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "jax"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.argv = ["fairchip", "report", {str(measured)!r}, "--instance", "c8i.2xlarge", "--format", "json"]
from bench.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    cases = json.loads(done.stdout)[0]["cases"]
    for case in cases:
        cost = case["usd_per_million_tokens"]["on-demand"]
        speed = case["tokens_per_second"]["estimate"]
        assert cost["usd_per_million_tokens"] == pytest.approx(0.37484 / 3600 / speed * 1e6)
        assert cost["price"]["as_of"] == "2026-07-20"


def test_running_and_recording_need_no_reporting_library(tmp_path: Path) -> None:
    code = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pandas", "scipy"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
import bench.campaign
from bench.cli import main
from made_up_runs import made_up_worker
bench.campaign.run_worker = made_up_worker(0.02)
sys.argv = ["fairchip", "run", "--workload", "smoke", "--backend", "jax-cpu", "--out", "x"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=300, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT / "tests")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "it needs scipy" in done.stderr
    assert len(list((tmp_path / "x").glob("*.json"))) == 6


@pytest.mark.parametrize("form", ["table", "md", "json", "csv"])
def test_every_format(measured: Path, form: str) -> None:
    done = fairchip("report", str(measured), "--format", form)
    assert done.returncode == 0, done.stderr
    assert "torch-cpu" in done.stdout
    assert "\x1b" not in done.stdout


def test_comparing_two_measurements(measured: Path, tmp_path: Path) -> None:
    """The second is the first under other identifiers, as a repetition would be."""
    (tmp_path / "second").mkdir()
    for path in measured.glob("*.json"):
        content = json.loads(path.read_text())
        content["run_id"], content["place"]["suite_id"] = content["run_id"][::-1], "5" * 32
        (tmp_path / "second" / path.name).write_text(json.dumps(content))
    done = fairchip("compare", str(measured), str(tmp_path / "second"))
    assert done.returncode == 0, done.stderr
    assert f"second: torch-cpu (eager) against {measured.name}: torch-cpu (eager): " in done.stdout, done.stdout
    assert f"second: jax-cpu against {measured.name}: jax-cpu: " in done.stdout


def test_a_folder_is_not_compared_with_itself(measured: Path) -> None:
    done = fairchip("compare", str(measured), str(measured))
    assert done.returncode == 2
    assert "share runs" in done.stderr


def test_a_workload_file_names_its_token_file_by_content(tmp_path: Path) -> None:
    text = (ROOT / "workloads" / "catalog" / "smoke.toml").read_text().split("[data]")[0]
    (tmp_path / "t.bin").write_bytes(bytes(1000))
    data = f'kind = "tokens"\ndtype = "uint16"\npath = "t.bin"\nsha256 = "{"0" * 64}"\n'
    (tmp_path / "mine.toml").write_text(f"{text}[data]\n{data}")
    done = fairchip("run", "--workload", "mine.toml", "--backend", "torch-cpu", cwd=tmp_path)
    assert done.returncode == 2
    assert "has sha256" in done.stderr


@pytest.mark.skipif(gpu_count() > 0, reason="this machine has an accelerator")
def test_a_suite_for_another_machine_says_so(tmp_path: Path) -> None:
    done = fairchip("bench", "--suite", "chip", cwd=tmp_path)
    assert done.returncode == 2
    assert "no accelerator backend is available here" in done.stderr
    assert "doctor" in done.stderr


def test_an_interruption_keeps_what_is_finished_and_leaves_no_worker(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-m", "bench", "run", "--workload", "smoke", "--backend", "jax-cpu"]
    process = subprocess.Popen([*command, "--out", "x"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("[1/"):
            break
    time.sleep(1)
    workers = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "stopped by SIGINT; finished runs are in x" in said
    assert "goes on from there" in said
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert [path.name for path in (tmp_path / "x").glob("*.json")] == ["cold-start-0000-00-smoke-jax-cpu.json"]


def test_the_same_command_measures_nothing_twice(measured: Path) -> None:
    before = sorted(path.name for path in measured.iterdir())
    done = fairchip("bench", "--suite", "smoke", "--out", str(measured), "--strict")
    assert done.returncode == 0, done.stderr
    assert "finished already, nothing was measured" in done.stderr
    assert "torch-cpu" in done.stdout
    assert sorted(path.name for path in measured.iterdir()) == before


def test_records_of_something_else_are_left_alone(measured: Path) -> None:
    before = sorted(path.name for path in measured.iterdir())
    done = fairchip("run", "--workload", "smoke", "--backend", "jax-cpu", "--out", str(measured))
    assert done.returncode == 2
    assert "holds records of something else" in done.stderr
    assert sorted(path.name for path in measured.iterdir()) == before


def test_no_records_yet(tmp_path: Path) -> None:
    done = fairchip("report", cwd=tmp_path)
    assert done.returncode == 2
    assert "make bench" in done.stderr


def test_a_run_of_ones_own(tmp_path: Path) -> None:
    """A Hugging Face model on a token file."""
    config = {
        "model_type": "llama", "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 48, "rms_norm_eps": 1e-5, "hidden_act": "silu",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokens.bin").write_bytes(bytes(range(200)) * 40)
    (tmp_path / "eager.toml").write_text('name = "eager"\ncompile = "off"\n')
    done = fairchip(
        "run", "--workload", "smoke", "--backend", "torch-cpu", "jax-cpu", "--hf-config", "config.json",
        "--data", "tokens.bin", "--data-type", "uint16", "--recipe", "eager.toml", "--runs", "1", "--cold-starts", "0",
        "--windows", "1", "--out", "own", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2, "ids up to 50,887 do not fit a vocabulary of 300"
    assert "vocabulary" in done.stderr
    (tmp_path / "tokens.bin").write_bytes(bytes([7, 0, 9, 1]) * 2000)
    done = fairchip(
        "run", "--workload", "smoke", "--backend", "torch-cpu", "--hf-config", "config.json",
        "--data", "tokens.bin", "--recipe", "eager.toml", "--runs", "1", "--cold-starts", "0", "--windows", "1",
        "--out", "own", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in (tmp_path / "own").glob("*.json")]
    assert {record["case"]["workload"] for record in records} == {"smoke+config+tokens"}
    assert str(tmp_path) not in json.dumps(records)
