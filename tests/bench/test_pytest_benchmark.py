"""`pytest bench`: pytest-benchmark shows what the workers measured, and compares no two machines."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.replay import WindowClock, differences, step_seconds
from bench.suite import suite_backends
from results.store import load_all

ROOT = Path(__file__).parents[2]
QUICK = """
import bench.campaign
import bench.probing
from made_up_runs import made_up_worker
bench.campaign.run_worker = made_up_worker(0.001)
bench.probing.probe_first = lambda cases: None
"""

PytestBench = Callable[..., "subprocess.CompletedProcess[str]"]


def run_pytest(*arguments: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "bench", "-p", "no:cacheprovider", *map(str, arguments)]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        command, cwd=ROOT, env=own | environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def pytest_bench(tmp_path: Path) -> PytestBench:
    """As `pytest bench`, with workers that answer at once and all that is written below ``tmp_path``."""
    (tmp_path / "quick.py").write_text(QUICK)
    path = os.pathsep.join([str(tmp_path), str(ROOT / "tests")])
    storage = f"--benchmark-storage=file://{tmp_path}/saved"

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        records = tmp_path / f"records-{len(list(tmp_path.iterdir()))}"
        return run_pytest("-p", "quick", storage, "--records", records, *arguments, PYTHONPATH=path)

    return run


def saved_file(folder: Path) -> Path:
    (path,) = (folder / "saved").rglob("*.json")
    return path


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.slow
def test_the_smoke_suite_really(tmp_path: Path) -> None:
    """Real workers. The times that are shown are those of the records' windows, not one of our own."""
    done = run_pytest("--records", tmp_path / "records", "--benchmark-json", tmp_path / "out.json", "-k", "jax")
    assert done.returncode == 0, done.stdout + done.stderr
    (shown,) = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert shown["stats"]["data"] == list(step_seconds(load_all([tmp_path / "records"])))
    assert shown["extra_info"]["status"] == "ranked"


def test_what_is_shown(pytest_bench: PytestBench, tmp_path: Path) -> None:
    done = pytest_bench("--benchmark-json", tmp_path / "out.json", "--usd-per-hour", "0.36", "--suite", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "benchmark 'bytes-5m fp32': 2 tests" in done.stdout
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["machine_info"]["fairchip"]["logical_cpus"] > 0
    assert content["machine_info"]["node"] == content["machine_info"]["fairchip"]["host_id"]
    for shown in content["benchmarks"]:
        extra = shown["extra_info"]
        assert shown["group"] == "bytes-5m fp32"
        assert extra["workload_digest"][:8] in shown["param"]
        assert shown["stats"]["mean"] == pytest.approx(0.1, rel=0.01)
        assert extra["tokens_per_second"] == pytest.approx(extra["tokens_per_step"] / 0.1, rel=0.01)
        assert extra["tokens_per_second_low"] < extra["tokens_per_second"] < extra["tokens_per_second_high"]
        assert extra["usd_per_mtok"] == pytest.approx(100 / extra["tokens_per_second"])
        assert extra["runs"] == 5
        assert "utilisation" in extra
        assert all(isinstance(value, str | int | float | None) for value in extra.values())


def test_saving_comparing_and_failing(pytest_bench: PytestBench, tmp_path: Path) -> None:
    assert pytest_bench("--benchmark-autosave").returncode == 0
    again = pytest_bench("--benchmark-compare", "--benchmark-compare-fail=median:5%")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "(NOW)" in again.stdout
    assert "machine_info is different" not in again.stderr

    def twice_as_fast(content: dict[str, Any]) -> None:
        for one in content["benchmarks"]:
            one["stats"]["median"] /= 2

    rewrite(saved_file(tmp_path), twice_as_fast)
    slower = pytest_bench("--benchmark-compare", "--benchmark-compare-fail=median:5%")
    assert slower.returncode == 1
    assert "Performance has regressed" in slower.stdout + slower.stderr


def test_another_machine_is_refused_before_anything_is_measured(pytest_bench: PytestBench, tmp_path: Path) -> None:
    assert pytest_bench("--benchmark-autosave").returncode == 0

    def elsewhere(content: dict[str, Any]) -> None:
        content["machine_info"]["fairchip"]["cpu_model"] = "another"

    rewrite(saved_file(tmp_path), elsewhere)
    done = pytest_bench("--benchmark-compare")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "another machine" in done.stderr
    assert "fairchip compare A B" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_software_may_be_compared_and_is_warned_of() -> None:
    facts = {"cpu_model": "a", "logical_cpus": 2, "packages": {"torch": "1"}}
    ours = {"fairchip": facts}
    assert not differences(ours, {"fairchip": facts | {"packages": {"torch": "2"}, "host_id": "other"}})
    assert differences(ours, {"fairchip": facts | {"logical_cpus": 4}}) == ["logical_cpus 4 -> 2"]
    assert differences(ours, {})


def test_other_work_has_another_name() -> None:
    """So that pytest-benchmark, which compares by name, cannot hold one workload against another."""
    done = run_pytest("--collect-only", "-q")
    assert re.search(r"test_train_step\[smoke-smoke-[0-9a-f]{8}-jax-cpu\]", done.stdout)


@pytest.mark.skipif(bool(suite_backends("accelerator")), reason="an accelerator is here: it would be measured")
def test_a_backend_that_is_missing_is_skipped_with_its_reason() -> None:
    done = run_pytest("--suite", "chip")
    assert done.returncode == 0, done.stdout
    assert "5 skipped" in done.stdout
    assert "no Nvidia GPU" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--suite", "smok"), "unknown suite 'smok' (did you mean smoke?)"),
        (("--usd-per-hour", "-1"), "the price in USD per hour is -1.0"),
        (("--instance", "c8i.2xlrge"), "did you mean c8i.2xlarge?"),
    ],
)
def test_a_mistake_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = run_pytest(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_without_a_rank_fails_and_keeps_its_number(tmp_path: Path) -> None:
    (tmp_path / "quick.py").write_text(
        QUICK + "from dataclasses import replace\n"
        "def sabotaged(*arguments, answer=bench.campaign.run_worker):\n"
        "    end = answer(*arguments)\n"
        "    return replace(end, measurement=end.measurement.model_copy(update={'compiled_graphs_after': 99}))\n"
        "bench.campaign.run_worker = sabotaged\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT / "tests")])
    done = run_pytest("-p", "quick", "--records", tmp_path / "records", "-k", "jax", PYTHONPATH=path)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "gate recompile failed" in done.stdout
    assert "benchmark 'smoke fp32': 1 tests" in done.stdout


def test_the_clock_tells_what_was_measured() -> None:
    clock = WindowClock([0.5, 0.25])
    assert [clock(), clock(), clock(), clock()] == [0.0, 0.5, 0.0, 0.25]


def test_the_ordinary_tests_measure_nothing() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert options["testpaths"] == ["tests"]


def test_the_benchmarks_import_no_framework() -> None:
    code = "import sys, bench.conftest, bench.test_suites; print({'torch', 'jax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
