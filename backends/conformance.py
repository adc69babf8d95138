"""Tells the author of a backend when it is right.

In a test file::

    from backends.conformance import BackendConformance

    class TestMine(BackendConformance):
        backend = MyBackend()

Every test skips, with the reason, where the backend says that it is not available.
"""

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Backend, Rank, Session
from backends.recipe import resolve
from workloads.catalog import find_workload
from workloads.data import BatchSource, batch_source
from workloads.precision import POLICIES
from workloads.references import find_trajectory, tolerance
from workloads.spec import Workload


class BackendConformance:
    """What the runner relies on, as tests. Subclass and set ``backend``."""

    backend: Backend
    workload: Workload = find_workload("smoke")
    steps = 20

    @pytest.fixture
    def batches(self) -> BatchSource:
        """The workload's batches."""
        return batch_source(self.workload)

    @pytest.fixture
    def session(self) -> Iterator[Session]:
        """A session of the as-is recipe; skips where the backend is not available."""
        found = self.backend.probe()
        if not found.available:
            pytest.skip(f"{self.backend.name}: {found.reason}")
        recipe = resolve(self.backend.recipes(self.workload)["as-is"], self.workload)
        with self.backend.open(self.workload, recipe, Rank()) as session:
            yield session

    def test_fits_the_protocol(self) -> None:
        """All methods are there."""
        assert isinstance(self.backend, Backend)

    def test_probe_explains_itself(self) -> None:
        """An unavailable backend says why, and names the device type it would use."""
        found = self.backend.probe()
        assert found.device_type
        assert found.available or found.reason

    def test_probe_imports_no_framework(self) -> None:
        """Listing backends must stay quick."""
        kind = type(self.backend)
        code = (
            f"import sys; sys.path[:0] = {sys.path!r}\n"
            f"from {kind.__module__} import {kind.__qualname__} as B; B().probe()\n"
            "sys.exit(bool({'torch', 'jax', 'torch_neuronx', 'torch_xla'} & sys.modules.keys()))"
        )
        assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0

    def test_environment_is_made_of_strings(self, tmp_path: Path) -> None:
        """The parent hands it to the operating system."""
        recipe = self.backend.recipes(self.workload)["as-is"]
        variables = self.backend.environment(recipe, tmp_path)
        assert all(isinstance(part, str) for pair in variables.items() for part in pair)

    def test_tracks_the_reference(self, session: Session, batches: BatchSource) -> None:
        """Same parameters, same batches, same mathematics: every loss within the policy's tolerance."""
        trajectory = find_trajectory(self.workload)
        assert trajectory is not None, "choose a workload that has a reference"
        limit, derivation = tolerance(trajectory, self.workload.precision)
        for step in range(len(trajectory.losses)):
            session.step(batches(step))
        own = session.losses()
        assert [step.step for step in own] == list(range(len(trajectory.losses)))
        worst = max(abs(one.loss - true) / true for one, true in zip(own, trajectory.losses, strict=True))
        assert worst <= limit, f"largest relative deviation {worst:.1e}; limit {limit:.1e}: {derivation}"
        assert all(math.isfinite(step.gradient_norm) and step.gradient_norm > 0 for step in own)

    def test_losses_are_given_once(self, session: Session, batches: BatchSource) -> None:
        """`losses` covers the steps since the last call, and nothing is computed by asking."""
        assert list(session.losses()) == []
        session.step(batches(0))
        assert len(session.losses()) == 1
        assert list(session.losses()) == []

    def test_sync_may_be_called_at_any_time(self, session: Session, batches: BatchSource) -> None:
        """Before the first step, after steps, and twice."""
        session.sync()
        session.step(batches(0))
        session.sync()
        session.sync()

    def test_a_settled_device_has_nothing_left_to_do(self, session: Session, batches: BatchSource) -> None:
        """After barrier and read-back, doing both again takes a small part of the steps' time."""
        for step in range(3):
            session.step(batches(step))
        session.sync()
        session.losses()
        start = time.perf_counter()
        for step in range(3, 3 + self.steps):
            session.step(batches(step))
        session.sync()
        session.losses()
        worked = time.perf_counter() - start
        session.sync()
        session.losses()
        assert time.perf_counter() - start - worked < 0.2 * worked

    def test_compiles_nothing_once_warm(self, session: Session, batches: BatchSource) -> None:
        """Fresh batches of one shape and a changing learning rate must not recompile."""
        for step in range(3):
            session.step(batches(step))
        session.sync()
        before = session.compiled_graphs()
        for step in range(3, 15):
            session.step(batches(step))
        session.sync()
        assert session.compiled_graphs() == before

    def test_describes_what_runs(self, session: Session) -> None:
        """Device as promised, and matrix products as precise as the policy demands."""
        said = session.describe()
        assert said["device_type"] == self.backend.probe().device_type
        bits = said["operand_fraction_bits"]
        assert isinstance(bits, int)
        assert bits >= POLICIES[self.workload.precision].operand_fraction_bits
        assert said["accumulation_exact"] is True

    def test_memory_is_positive_or_unknown(self, session: Session, batches: BatchSource) -> None:
        """Peak bytes with their source."""
        session.step(batches(0))
        session.sync()
        used = session.memory()
        assert used is None or (used.peak_bytes > 0 and used.source)
