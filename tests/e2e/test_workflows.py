"""The workflows of continuous integration ask for what exists, and give nobody more than they need."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ROOT, wrong

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in load(path)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_exists(path: Path) -> None:
    scripts = [step["run"] for step in steps(path) if "run" in step]
    assert scripts
    missing = [complaint for script in scripts for complaint in wrong(script)]
    assert missing == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_major_version(path: Path) -> None:
    for step in steps(path):
        assert ("run" in step) != ("uses" in step)
        assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/x@v1"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_nobody_gets_more_than_they_need(path: Path) -> None:
    """Read access alone, a limit on every job, and nothing that a person writes becomes part of a command."""
    content = load(path)
    assert content["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in content["jobs"].values())
    assert not [step for step in steps(path) if "${{" in step.get("run", "")]


def test_ci_tests_everything_and_shows_the_smoke_suite() -> None:
    scripts = [step.get("run", "") for step in steps(ROOT / ".github/workflows/ci.yml")]
    assert "make test" in scripts
    assert any(script.startswith("make bench-pytest") for script in scripts)
    assert any("--format md" in script and script.endswith('>> "$GITHUB_STEP_SUMMARY"') for script in scripts)
    (kept,) = [step for step in steps(ROOT / ".github/workflows/ci.yml") if "upload" in step.get("uses", "")]
    assert "report.html" in kept["with"]["path"]


def test_ci_tests_the_oldest_torch_and_jax_that_are_admitted() -> None:
    admitted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (first,) = [
        entry["frameworks"].split()
        for entry in load(ROOT / ".github/workflows/ci.yml")["jobs"]["cpu"]["strategy"]["matrix"]["include"]
        if "frameworks" in entry
    ]
    for requirement, name in zip(first, ("torch", "jax"), strict=True):
        oldest = admitted[name][0].replace(">=", "==")
        assert re.fullmatch(rf"{re.escape(oldest)}\.\d+", requirement)


def test_devices_are_measured_by_hand_on_runners_that_have_them() -> None:
    content = load(ROOT / ".github/workflows/devices.yml")
    assert list(content[True]) == ["workflow_dispatch"], "YAML reads `on` as true"
    labels = {name: job["runs-on"] for name, job in content["jobs"].items()}
    assert labels == {"gpu": ["self-hosted", "linux", "nvidia-gpu"], "trainium": ["self-hosted", "linux", "trainium"]}


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("make tset", "make has no target tset"),
        ("make bench SUTE=chip", "make has no variable SUTE"),
        ('make report ARGS="A --fromat md" >> "$X"', "fairchip report has no option --fromat"),
        (".venv/bin/fairchip reprot A", "fairchip has no command ['reprot']"),
        ("git clone x && fairhcip list", "unknown program fairhcip"),
        ("make test  # everything\nfairchip run --workload smoke \\\n  --backends jax-cpu", "has no option --backends"),
    ],
)
def test_what_does_not_exist_is_found(script: str, complaint: str) -> None:
    (found,) = wrong(script)
    assert complaint in found
