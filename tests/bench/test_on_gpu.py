"""The one call for a machine with a GPU: its commands exist, and one that fails keeps no other from running."""

import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from itertools import chain, repeat

import pytest

from backends.registry import PEERS, backend_entry_points
from bench import on_gpu
from workloads.catalog import catalog_names


def test_what_it_names_exists() -> None:
    assert set(on_gpu.BACKENDS) <= set(backend_entry_points())
    assert set(chain.from_iterable(on_gpu.PEERS.values())) <= entry_points(group=PEERS).names
    assert set(on_gpu.SIZES) <= set(catalog_names())


@pytest.mark.parametrize("name", [name for name in on_gpu.steps() if name.startswith(("ours", "tuning"))])
def test_a_comparison_is_a_command_that_is_understood(name: str) -> None:
    command = [*on_gpu.steps()[name], "--out", "/dev/null/none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    understood = "/dev/null/none" in done.stderr or "unavailable: no Nvidia GPU" in done.stderr
    assert done.returncode in {2, 3}
    assert understood, "up to the folder, which cannot be made, or to the device that is not there"


@pytest.mark.parametrize("name", [name for name in on_gpu.steps() if name.startswith("in turns, llama-124m")])
def test_sessions_in_turns_are_asked_for_as_far_as_the_device(name: str) -> None:
    done = subprocess.run(on_gpu.steps()[name], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert re.search(r"^fairchip: (torch|jax) .* no cuda device", done.stderr, re.MULTILINE)
    assert re.search(r"^fairchip: (torch|jax)-cuda.* ended with exit code 2$", done.stderr, re.MULTILINE)


def test_every_step_runs_and_the_worst_code_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    codes = chain([0, -9, 1], repeat(0))

    def run(command: Sequence[str], *, check: bool) -> "subprocess.CompletedProcess[bytes]":
        assert command[0] == sys.executable
        return subprocess.CompletedProcess(command, next(codes))

    monkeypatch.setattr(on_gpu.subprocess, "run", run)
    assert on_gpu.main([]) == 9
    said = capsys.readouterr().out
    assert re.search(r"^tests that need a GPU +exit -9$", said, re.MULTILINE)
    assert said.count("\n== ") == 2 * len(on_gpu.steps())


def test_a_step_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert on_gpu.main(["tunning"]) == 2
    said = capsys.readouterr().err
    assert "no step begins with tunning" in said
    assert "tuning, torch-cuda" in said
