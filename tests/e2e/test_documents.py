"""What the documents show is true: their plug-in works, their commands and links exist."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from builders import make_record
from commands import DOCUMENTS, ROOT, blocks, commands, make_targets, wrong
from made_up_runs import made_up_worker
from packaging.requirements import Requirement

from bench.cli import app
from results.store import save
from workloads.parse import workload_from_toml


@pytest.fixture(scope="module")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's plug-in, built and installed as a distribution of its own, as its author would."""
    page, folder = ROOT / "docs" / "add-a-backend.md", tmp_path_factory.mktemp("plug-in")
    code, conformance = blocks(page, "python")
    assert len(code.splitlines()) <= 60
    (folder / "source").mkdir()
    (folder / "source" / "fairchip_xpu.py").write_text(code)
    (folder / "source" / "pyproject.toml").write_text(blocks(page, "toml")[0])
    (folder / "test_conformance.py").write_text(conformance)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", folder / "site", folder / "source"], check=True, timeout=120)
    return folder


def with_plug_in(folder: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(folder / "site")}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


def test_the_example_backend_is_found_once_it_is_installed(plug_in: Path) -> None:
    done = with_plug_in(plug_in, "-m", "bench", "list")
    assert re.search(r"^torch-xpu +(yes +\d|no +0  no render device below /dev/dri)", done.stdout, re.M), done.stdout


def test_the_example_backend_is_right(plug_in: Path) -> None:
    """By the conformance kit, as the page says: what needs no device passes, the rest is skipped with the reason."""
    done = with_plug_in(plug_in, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "test_conformance.py")
    assert done.returncode == 0, done.stdout
    assert re.search(r"\d+ passed", done.stdout)


def test_the_example_workload_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is a workload of the digest that the page tells, and its first command runs it."""
    page = ROOT / "docs" / "add-a-workload.md"
    (tmp_path / "small.toml").write_text(blocks(page, "toml")[0])
    assert f"`{workload_from_toml(tmp_path / 'small.toml').digest[:12]}`" in page.read_text()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bench.campaign.run_worker", made_up_worker(0.001))
    (command,) = commands(blocks(page, "bash")[0])
    assert app(command[1:], standalone_mode=False) in {0, None}
    assert len(list(tmp_path.rglob("timed-*small*.json"))) == 6


def test_the_page_of_the_record_names_every_field() -> None:
    page = (ROOT / "docs" / "record-format.md").read_text()
    schema = json.loads((ROOT / "docs" / "record.schema.json").read_text())
    tables = [schema, *schema["$defs"].values()]
    fields = {name for table in tables for name in table.get("properties", {})}
    assert len(fields) > 90
    assert sorted(fields - set(re.findall(r"`(\w+)`", page))) == []


def test_the_page_of_the_record_reads_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(make_record(), tmp_path / "results" / "runs" / "A")
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(ROOT / "docs" / "record-format.md", "python")[0], "page", "exec"), {})
    assert capsys.readouterr().out == "torch-cpu 8192\n"


def test_the_quickstart_compares_two_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands of fairchip, on records of two machines that lie where it says."""
    for number, name in enumerate(("first", "second")):
        for round_ in range(5):
            host = {"host_id": f"{number}" * 32, "suite_id": f"{number}" * 32, "round_": round_}
            pace = 1000.0 + 10 * number + round_
            save(make_record(tokens_per_second=pace, **host), tmp_path / "results" / "runs" / name)
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "quickstart.md"
    asked = [words for block in blocks(page, "bash") for words in commands(block)]
    made = [["x", words[1], *shlex.split(words[-1].removeprefix("ARGS="))] for words in asked if words[0] == "make"]
    ours = [words for words in asked if words[0].endswith("fairchip")]
    ran = [words for words in [*made, *ours] if words[1] in {"compare", "report"}]
    assert len(ran) == 5
    for words in ran:
        assert app(words[1:], standalone_mode=False) in {0, None}, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_exists(document: Path) -> None:
    """Make targets, commands and options alike."""
    assert [complaint for block in blocks(document, "bash") for complaint in wrong(block)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_exist(document: Path) -> None:
    """Also those that a sentence names."""
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z][a-z-]*)", text)) <= make_targets()


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
