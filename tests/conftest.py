"""Shared by all tests: a state folder of their own."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # helpers beside this file: parity_workload, builders


# Started by nohup, or in the background of a script, we would inherit that these are ignored, and pass it on.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First the tests that fork: a process that has compiled models takes ten times as long to fork."""
    items.sort(key=lambda item: "tests/reliability/" not in item.path.as_posix())


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's host identifier; all of them are one host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRCHIP_STATE", str(tmp_path_factory.mktemp("state")))
        yield
