"""What the documents show is true: their plug-in works, their commands and links exist."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from backends.contract import Backend
from backends.registry import availability

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_backend_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed as its own distribution, as the page says, it is listed with its reason."""
    page = ROOT / "docs" / "add-a-backend.md"
    code, _ = blocks(page, "python")
    entries = tomllib.loads(blocks(page, "toml")[0])["project"]["entry-points"]["fairchip.backends"]
    (tmp_path / "fairchip_xpu.py").write_text(code)
    info = tmp_path / "fairchip_xpu-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fairchip-xpu\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[fairchip.backends]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = availability("torch-xpu")
    assert found.available or found.reason
    module = sys.modules.pop("fairchip_xpu")
    assert isinstance(module.TorchXpu(), Backend)
    assert len(code.splitlines()) <= 60


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for named in re.findall(r"^make (\w+)", "\n".join(blocks(document, "bash")), re.MULTILINE):
        assert named in targets


def test_every_gate_and_every_suite_is_documented() -> None:
    from bench.suite import suite_names
    from results.gates import GATES

    method = (ROOT / "docs" / "method.md").read_text()
    assert all(f"| {gate} |" in method for gate in GATES)
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{suite}`" in readme for suite in suite_names())


@pytest.mark.parametrize(("name", "decoy"), [("torch-neuronx", "1.0"), ("neuronx-cc", "1.0.post1")])
def test_the_placeholders_of_the_public_index_can_never_satisfy_us(name: str, decoy: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (wanted,) = [r for r in map(Requirement, project["optional-dependencies"]["neuron"]) if r.name == name]
    assert decoy not in wanted.specifier
    assert not any(Requirement(r).name == name for r in project["dependencies"])


def test_ci_calls_the_readmes_test_command() -> None:
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in "\n".join(blocks(ROOT / "README.md", "bash"))
