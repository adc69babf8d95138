"""The one call for a machine with a GPU: its commands exist, and one that fails keeps no other from running."""

import subprocess
import sys
from collections.abc import Sequence
from itertools import chain, repeat

import pytest

from backends.registry import backend_entry_points
from bench import on_gpu
from workloads.catalog import catalog_names


def test_what_it_names_exists() -> None:
    assert set(on_gpu.BACKENDS) <= set(backend_entry_points())
    assert set(on_gpu.SIZES) <= set(catalog_names())


@pytest.mark.parametrize("name", [name for name in on_gpu.steps() if name.startswith(("ours", "tuning"))])
def test_a_comparison_is_a_command_that_is_understood(name: str) -> None:
    command = [*on_gpu.steps()[name], "--out", "/dev/null/none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    understood = "/dev/null/none" in done.stderr or "unavailable: no Nvidia GPU" in done.stderr
    assert done.returncode in {2, 3}
    assert understood, "up to the folder, which cannot be made, or to the device that is not there"


def test_every_step_runs_and_the_worst_code_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = chain([0, 3, 1], repeat(0))

    def run(command: Sequence[str], *, check: bool) -> "subprocess.CompletedProcess[bytes]":
        assert command[0] == sys.executable
        return subprocess.CompletedProcess(command, next(codes))

    monkeypatch.setattr(on_gpu.subprocess, "run", run)
    assert on_gpu.main([]) == 3
    said = capsys.readouterr().out
    assert "tests that need a GPU                    exit 3" in said
    assert said.count("\n== ") == 2 * len(on_gpu.steps())
