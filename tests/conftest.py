"""Shared by all tests: a state folder of their own, frameworks in modes that hide nothing."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # helpers beside this file: parity_workload, builders


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's host identifier."""
    monkeypatch.setenv("FAIRCHIP_STATE", str(tmp_path_factory.getbasetemp() / "state"))
