"""Backends are found by metadata; mistakes and broken plug-ins are said in one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from backends.errors import BackendError
from backends.registry import availability, backend_entry_points, load_backend


def install(folder: Path, distribution: str, entries: str, code: str = "") -> None:
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[fairchip.backends]\n{entries}\n")
    if code:
        (folder / f"{distribution.replace('-', '_')}.py").write_text(code)


def test_the_built_in_backends_are_declared_like_any_other() -> None:
    assert {"torch-cpu", "jax-cpu", "torch-cuda", "jax-cuda"} <= backend_entry_points().keys()


def test_listing_and_probing_import_no_framework() -> None:
    code = (
        "import sys; from backends.registry import *\n"
        "[availability(name) for name in backend_entry_points()]\n"
        "sys.exit(bool({'torch', 'jax', 'pandas', 'scipy'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_unknown_names_have_a_suggestion() -> None:
    with pytest.raises(BackendError) as caught:
        load_backend("torch-cup")
    assert "torch-cpu" in caught.value.hint


def test_one_name_in_two_distributions_is_an_error_that_names_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "one-maker", "chip = one_maker:B")
    install(tmp_path, "other-maker", "chip = other_maker:B")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BackendError) as caught:
        backend_entry_points()
    assert "one-maker" in caught.value.message
    assert "other-maker" in caught.value.message


@pytest.mark.parametrize("code", ["raise RuntimeError('broken inside')", "import no_such_module_here", "B = 1/0"])
def test_a_plugin_that_fails_to_import_is_unavailable_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    install(tmp_path, "bad-maker", "bad = bad_maker:B", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "bad_maker", raising=False)
    found = availability("bad")
    assert not found.available
    assert "bad-maker" in found.reason
    assert availability("torch-cpu").device_type == "cpu", "the others are not affected"


def test_what_is_not_a_backend_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "odd-maker", "odd = odd_maker:B", "class B: pass")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "odd_maker", raising=False)
    assert "is not a backend" in availability("odd").reason


def test_a_probe_that_raises_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from backends.fake import FakeBackend\nclass B(FakeBackend):\n    def probe(self): raise OSError('stuck')"
    install(tmp_path, "rude-maker", "rude = rude_maker:B", code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "rude_maker", raising=False)
    assert "stuck" in availability("rude").reason
