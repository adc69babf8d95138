"""Which suite and which backends this machine gets."""

import pytest

from backends.contract import Availability
from bench import suite
from bench.errors import UsageError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Replaces the backends of this machine: name -> (device type, available)."""

    def have(**backends: tuple[str, bool]) -> None:
        found = {
            name.replace("_", "-"): Availability(available=available, device_type=device, reason="test")
            for name, (device, available) in backends.items()
        }
        monkeypatch.setattr(suite, "availabilities", lambda: found)

    return have


def test_a_cpu_machine_runs_the_cpu_suite(machine) -> None:
    machine(jax_cpu=("cpu", True), torch_cpu=("cpu", True), torch_cuda=("cuda", False))
    assert suite.default_suite().name == "cpu"
    assert suite.suite_backends("cpu") == ["torch-cpu", "jax-cpu"]


def test_an_accelerator_runs_the_chip_suite_and_shows_what_is_missing_on_it(machine) -> None:
    machine(torch_cpu=("cpu", True), torch_cuda=("cuda", True), jax_cuda=("cuda", False), torch_xpu=("xpu", False))
    assert suite.default_suite().name == "chip"
    assert suite.suite_backends("accelerator") == ["torch-cuda", "jax-cuda"]


def test_a_plug_in_chip_is_measured_without_a_change_here(machine) -> None:
    machine(torch_cpu=("cpu", True), torch_mychip=("mychip", True))
    assert suite.default_suite().name == "chip"
    assert suite.suite_backends("accelerator") == ["torch-mychip"]


def test_nothing_to_run_is_said(machine) -> None:
    machine(torch_cpu=("cpu", False))
    with pytest.raises(UsageError, match="no cpu backend"):
        suite.suite_cases(suite.find_suite("cpu"))


@pytest.mark.parametrize("name", suite.suite_names())
def test_every_shipped_suite_is_valid(name: str) -> None:
    found = suite.find_suite(name)
    assert found.question
    assert found.plan.windows > 0
    assert (found.plan.minimum_steps_per_window >= 10) == (found.device == "accelerator")
