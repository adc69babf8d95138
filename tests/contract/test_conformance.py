"""Our own backends pass what we ask of others; the GPU ones skip with the reason where there is none."""

import pytest

from backends.conformance import BackendConformance
from backends.cpu import JaxCpu, TorchCpu
from backends.cuda import JaxCuda, TorchCuda
from backends.fake import FakeBackend, FakeSession, Script
from workloads.catalog import find_workload
from workloads.references import find_trajectory

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class TestTorchCpu(BackendConformance):
    backend = TorchCpu()


class TestJaxCpu(BackendConformance):
    backend = JaxCpu()


@pytest.mark.gpu
class TestTorchCuda(BackendConformance):
    backend = TorchCuda()


@pytest.mark.gpu
class TestJaxCuda(BackendConformance):
    backend = JaxCuda()


TRUTH = find_trajectory(find_workload("smoke"))
assert TRUTH is not None
HONEST = Script(step_seconds=lambda step: 0.002, loss=lambda step: TRUTH.losses[step % len(TRUTH.losses)])


class TestFake(BackendConformance):
    class _Honest(FakeBackend):
        script = HONEST

    backend = _Honest()

    def test_probe_imports_no_framework(self) -> None:
        """Another process cannot import a class of this file, but it can import the one it is made from."""
        kit = BackendConformance()
        kit.backend = FakeBackend()
        kit.test_probe_imports_no_framework()


class _Liar(FakeBackend):
    """Returns early from everything; the work is done later, when nobody looks."""

    def open(self, workload, recipe, rank):
        session = FakeSession(Script(step_seconds=lambda step: 0.002, loss=HONEST.loss, sync_waits=False))
        drain, session._drain = session._drain, lambda: None
        calls = {"losses": 0}

        def losses():
            calls["losses"] += 1
            if calls["losses"] >= 3:
                drain()
            return FakeSession.losses(session)

        session.losses = losses
        return session


def test_the_kit_catches_a_session_that_returns_early() -> None:
    kit = BackendConformance()
    kit.backend = _Liar()
    session = kit.backend.open(kit.workload, None, None)
    from workloads.data import batch_source

    with pytest.raises(AssertionError):
        kit.test_a_settled_device_has_nothing_left_to_do(session, batch_source(kit.workload))


def test_the_kit_catches_another_trajectory() -> None:
    kit = BackendConformance()
    kit.backend = FakeBackend()
    from workloads.data import batch_source

    with pytest.raises(AssertionError, match="deviation"):
        kit.test_tracks_the_reference(FakeSession(Script(step_seconds=lambda step: 0)), batch_source(kit.workload))


def test_the_kit_catches_recompilation() -> None:
    kit = BackendConformance()
    session = FakeSession(Script(step_seconds=lambda step: 0, compiles_at=frozenset({0, 7})))
    from workloads.data import batch_source

    with pytest.raises(AssertionError):
        kit.test_compiles_nothing_once_warm(session, batch_source(kit.workload))
