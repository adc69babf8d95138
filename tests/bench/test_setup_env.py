"""The set-up's decisions, its refusals and its stamp; nothing here installs anything or needs a network."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench import setup_env
from bench.setup_env import Environment, SetupError, Stamp, Target
from bench.setup_plan import (
    CPU_INDEX,
    FAMILY,
    FRAMEWORKS,
    Machine,
    Step,
    constraints,
    driver_major,
    in_order_of_preference,
    in_range,
    newest_cpu_build,
    plan,
)

RANGES = {"torch": ">=2.9", "jax": ">=0.7"}
LINUX = Machine(linux=True)
FINE = Environment((3, 12, 1), "/opt/v", True, False, [], {"pip": "26.0"}, {})


def offering(configured: Sequence[str] = (), public: Sequence[str] = ()) -> Callable[[str | None], Sequence[str]]:
    return lambda index: {None: configured, CPU_INDEX: public}[index]


def steps_for(
    machine: Machine,
    *extras: str,
    have: dict[str, str] | None = None,
    vendors: dict[str, str] | None = None,
    versions_at: Callable[[str | None], Sequence[str]] | None = None,
) -> list[Step]:
    versions_at = versions_at or offering(["2.13.0+cpu"])
    return plan(frozenset(extras), {**(have or {}), **(vendors or {})}, vendors or {}, machine, RANGES, versions_at)


# ---- which torch and which jax -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "specifier", "inside"),
    [
        ("2.9.0", ">=2.9", True),
        ("2.13.0+cpu", ">=2.9", True),  # 13 is more than 9: numbers, not text
        ("2.8.1", ">=2.9", False),
        ("2.10.0", ">=2.9,<2.10", False),
        ("2.10.0", ">=2.9, !=2.10.0", False),
        ("2.10.0a0+abc", ">=2.9", True),  # as NVIDIA's containers name theirs
    ],
)
def test_range(version: str, specifier: str, inside: bool) -> None:
    assert in_range(version, specifier) is inside


def test_the_declared_ranges_are_of_a_kind_that_we_can_read() -> None:
    declared = tomllib.loads((setup_env.ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in FRAMEWORKS:
        assert len(declared[name]) == 1, "the set-up expects one requirement in this extra"
        assert declared[name][0].startswith(name)
        assert in_range("999.0", declared[name][0].removeprefix(name))
        assert not in_range("0", declared[name][0].removeprefix(name))


def test_newest_cpu_build_is_final_and_in_range() -> None:
    versions = ["2.15.0", "2.9.1+cpu", "2.13.0+cpu", "2.14.0rc1+cpu", "2.8.0+cpu", "2.13.0+cu130"]
    assert newest_cpu_build(versions, ">=2.9") == "2.13.0+cpu"
    assert newest_cpu_build(versions, ">=2.9,<2.10") == "2.9.1+cpu"
    assert newest_cpu_build(["2.15.0"], ">=2.9") is None


def test_cpu_build_from_where_pip_is_configured_comes_first() -> None:
    first, main = steps_for(LINUX, "torch", "jax", versions_at=offering(["2.13.0+cpu"], ["2.15.0+cpu"]))
    assert first.arguments == ("--no-deps", "torch==2.13.0+cpu")
    assert main.arguments == ("-e", ".[jax,torch]")


def test_only_torch_itself_comes_from_the_public_cpu_index() -> None:
    first, main = steps_for(LINUX, "torch", versions_at=offering(["2.15.0"], ["2.15.0+cpu"]))
    assert first.arguments == ("--no-deps", "--index-url", CPU_INDEX, "torch==2.15.0+cpu")
    assert CPU_INDEX not in main.arguments


def test_without_a_cpu_build_it_warns_and_goes_on() -> None:
    first, main = steps_for(LINUX, "torch", versions_at=offering(["2.15.0"]))
    assert "gigabytes" in first.why
    assert not first.arguments
    assert main.arguments == ("-e", ".[torch]")


def test_a_good_torch_is_not_looked_for_again() -> None:
    (main,) = steps_for(LINUX, "torch", have={"torch": "2.12.0+cpu"})
    assert main.arguments == ("-e", ".[torch]")
    assert len(steps_for(LINUX, "torch", have={"torch": "2.8.0+cpu"})) == 2


def test_elsewhere_than_linux_torch_is_the_usual_one() -> None:
    (main,) = steps_for(Machine(linux=False), "torch", "jax")
    assert main.arguments == ("-e", ".[jax,torch]")


@pytest.mark.parametrize(
    ("driver", "requirements"),
    [
        (580, ("torch>=2.9", "jax[cuda13]>=0.7")),
        (575, ("torch>=2.9,<2.11", "jax[cuda12]>=0.7")),
        (None, ("torch>=2.9,<2.11", "jax[cuda12]>=0.7")),
    ],
)
def test_nvidia_gets_what_its_driver_can_run(driver: int | None, requirements: tuple[str, ...]) -> None:
    warning, main = steps_for(Machine(linux=True, nvidia=True, driver=driver), "torch", "jax", "report")
    assert "gigabytes" in warning.why
    assert main.arguments == ("-e", ".[jax,report,torch]", *requirements)


def test_neuron_gets_neither_framework_from_us_but_learns_where_they_are() -> None:
    machine = Machine(linux=True, neuron=True, neuron_pythons=["/opt/aws_neuronx_venv_x/bin/python"])
    advice, main = steps_for(machine, "torch", "jax", "report")
    assert "PYTHON=/opt/aws_neuronx_venv_x/bin/python" in advice.why
    assert main.arguments == ("-e", ".[report]")
    assert "Deep Learning AMI Neuron" in steps_for(replace(machine, neuron_pythons=[]), "torch")[0].why


@pytest.mark.parametrize("machine", [LINUX, Machine(linux=True, nvidia=True), Machine(linux=True, neuron=True)])
def test_nothing_is_asked_of_a_framework_that_the_vendor_has(machine: Machine) -> None:
    kept, main = steps_for(machine, "torch", "report", vendors={"torch": "2.7.0+cu128"})
    assert "2.7.0+cu128" in kept.why
    assert main.arguments == ("-e", ".[report]")
    assert steps_for(machine, "torch", vendors={"torch": "2.9.1"})[-1].arguments == ("-e", ".")


def test_driver_version() -> None:
    text = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build"
    assert driver_major(text + "\nGCC version: 12.3.0\n") == 580
    assert driver_major("nothing of the kind") is None


def test_constraints_freeze_the_family_and_leave_the_rest() -> None:
    versions = {"torch": "2.9.1+cu128", "nvidia-cudnn-cu12": "9.10.2.21", "numpy": "2.3.0", "rich": "13.0"}
    frozen = ["numpy==2.3.0", "nvidia-cudnn-cu12==9.10.2.21", "torch==2.9.1+cu128"]
    assert constraints(versions, FAMILY) == frozen
    assert constraints(versions, ["*"]) == [*frozen[:2], "rich==13.0", frozen[2]]


def test_constraints_leave_out_ourselves_and_what_pip_cannot_read() -> None:
    assert constraints({"fairchip": "0.1.0", "odd": "unknown", "older": "1.0-beta~2"}, ["*"]) == []


# ---- which environment -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (replace(FINE, version=(3, 10, 13)), "3.11 or newer is needed, and /p/python is 3.10.13"),
        (replace(FINE, managed=True), "externally managed"),
        (replace(FINE, folders=["/no/such/folder"]), "no right to write"),
        (replace(FINE, folders=["/tmp"], packages={}), "no pip"),
    ],
)
def test_a_vendor_environment_is_refused_with_a_hint(environment: Environment, words: str) -> None:
    with pytest.raises(SetupError, match=words) as caught:
        setup_env.check_vendor(environment, "/p/python")
    assert caught.value.hint
    assert caught.value.code == 2


def test_a_vendor_environment_that_can_be_used_is_not_refused(tmp_path: Path) -> None:
    setup_env.check_vendor(replace(FINE, folders=[str(tmp_path)]), "/p/python")


def test_an_interpreter_that_is_not_there() -> None:
    with pytest.raises(SetupError, match="no interpreter /no/such/python"):
        setup_env.choose_target("/no/such/python")


def test_a_link_to_an_interpreter_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(sys.executable)
    assert setup_env.choose_target(str(link)).python == link


@pytest.fixture
def vendor_venv(tmp_path: Path) -> Path:
    """The interpreter of a venv that holds a torch in name only."""
    folder = tmp_path / "vendor's venv"
    venv.EnvBuilder(symlinks=True).create(folder)
    site_packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder)}))
    for name, version in {"torch": "2.9.1+cu128", "rich": "13.0"}.items():
        (info := site_packages / f"{name}-{version}.dist-info").mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (site_packages / "torch.py").write_text("__version__ = '2.9.1+cu128'")
    return folder / "bin/python"


def test_a_venv_made_from_a_venv_sees_its_torch(tmp_path: Path, vendor_venv: Path) -> None:
    bootstrap = setup_env.ask(vendor_venv)
    assert bootstrap.in_venv
    assert bootstrap.packages["torch"] == "2.9.1+cu128"
    assert not bootstrap.foreign

    setup_env.build_venv(tmp_path / "ours", bootstrap, pip=False)
    ours = tmp_path / "ours/bin/python"
    assert setup_env.ask(ours).foreign == {"torch": "2.9.1+cu128", "rich": "13.0"}
    assert subprocess.check_output([ours, "-c", "import torch; print(torch.__version__)"]) == b"2.9.1+cu128\n"


AWS_ENVIRONMENTS = [
    "/opt/aws_neuronx_venv_jax_0_7/bin/python",
    "/opt/aws_neuronx_venv_pytorch_2_9/bin/python",
    "/opt/aws_neuronx_venv_pytorch_2_14/bin/python",
    "/opt/aws_neuronx_venv_pytorch_2_14_nxd_inference/bin/python",
    "/opt/aws_neuronx_venv_pytorch_inference_vllm_0_11/bin/python",
]


def test_the_newest_torch_of_an_image_comes_first_and_inference_never() -> None:
    found = [
        Path(python).parts[2].removeprefix("aws_neuronx_venv_") for python in in_order_of_preference(AWS_ENVIRONMENTS)
    ]
    assert found == ["pytorch_2_14", "pytorch_2_9", "jax_0_7"]


def test_set_up_goes_on_with_the_images_environment(
    vendor_venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first that works and has a framework; none where one is active, or .venv is made already."""
    pythons = [str(tmp_path / "aws_neuronx_venv_pytorch_9_9/bin/python"), str(vendor_venv)]
    monkeypatch.setattr(setup_env, "detect_machine", lambda: Machine(linux=True, neuron=True, neuron_pythons=pythons))
    monkeypatch.setattr(setup_env, "describe", lambda: replace(FINE, packages={}))
    monkeypatch.setattr(setup_env, "ROOT", tmp_path)
    (tmp_path / "bench").mkdir()
    assert setup_env.vendors_python() == vendor_venv
    monkeypatch.setattr(setup_env, "describe", lambda: replace(FINE, packages={"torch": "2.14.0"}))
    assert setup_env.vendors_python() is None
    monkeypatch.setattr(setup_env, "describe", lambda: replace(FINE, packages={}))
    (tmp_path / ".venv").mkdir()
    assert setup_env.vendors_python() is None


@pytest.mark.parametrize(
    ("in_venv", "packages", "shared"),
    [(False, {"jax": "0.7.0"}, "true"), (False, {}, "false"), (True, {"torch": "2.9.1"}, "false")],
)
def test_the_system_is_shared_only_if_it_has_a_framework(
    tmp_path: Path, in_venv: bool, packages: dict[str, str], shared: str
) -> None:
    setup_env.build_venv(tmp_path / "ours", replace(FINE, in_venv=in_venv, packages=packages), pip=False)
    assert f"include-system-site-packages = {shared}" in (tmp_path / "ours/pyvenv.cfg").read_text()


# ---- when there is something to do -------------------------------------------------------------------------


@pytest.fixture
def stamp(tmp_path: Path) -> Stamp:
    return Stamp("digest", ["jax", "torch"], str(setup_env.ROOT), str(tmp_path))


def test_a_stamp_covers_what_it_was_made_for(stamp: Stamp) -> None:
    assert stamp.covers("digest", {"torch"})
    assert not stamp.covers("digest", {"torch", "report"})
    assert not stamp.covers("another pyproject.toml", {"torch"})
    assert not replace(stamp, root="/moved").covers("digest", {"torch"})
    assert not replace(stamp, proof="/no/such/file").covers("digest", {"torch"})


def test_a_stamp_is_read_as_it_was_written(tmp_path: Path, stamp: Stamp) -> None:
    path = tmp_path / "stamp"
    assert setup_env.read_stamp(path) is None
    path.write_text(setup_env.UNFINISHED)
    assert setup_env.read_stamp(path) is None
    path.write_text(json.dumps(asdict(stamp)))
    assert setup_env.read_stamp(path) == stamp


def test_why_the_venv_is_made_anew(tmp_path: Path, stamp: Stamp) -> None:
    folder = tmp_path / ".venv"
    target = Target(folder / "bin/python", folder / "stamp")
    assert setup_env.reason_to_make(target, None) == "there is none yet"
    folder.mkdir()
    assert setup_env.reason_to_make(target, None) == "this one does not work"
    target.stamp.write_text(setup_env.UNFINISHED)
    assert setup_env.reason_to_make(target, None) == "an earlier set-up did not finish"
    assert setup_env.reason_to_make(target, replace(stamp, root="/elsewhere")) == "this one was made in another folder"


def test_pip_that_gave_up_leaves_the_old_stamp(tmp_path: Path, stamp: Stamp, monkeypatch: pytest.MonkeyPatch) -> None:
    def gives_up(target: Target, extras: frozenset[str]) -> None:
        raise SetupError("no network", "connect")

    monkeypatch.setattr(setup_env, "install", gives_up)
    target = Target(tmp_path / "python", tmp_path / "stamp")
    for earlier in (None, stamp):
        with pytest.raises(SetupError):
            setup_env.refresh(target, earlier, frozenset())
        assert setup_env.read_stamp(target.stamp) == earlier


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "room"),
        ("ERROR: No matching distribution found for numpy>=1.26", "network"),
        ("error: subprocess-exited-with-error", "setup_env.log"),
    ],
)
def test_a_failed_install_has_a_hint(output: str, words: str) -> None:
    assert words in setup_env.pip_hint(output, vendor=False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ERROR: It failed once\nERROR: and twice\nERROR: and again\nmore\n", "and twice; and again"),
        (
            "  ValueError: bad `version`\nerror: subprocess-exited-with-error\nnote: not pip\n",
            "ValueError: bad `version`",
        ),
        ("Traceback\n\nKilled\n", "Killed"),
        ("", ""),
    ],
)
def test_last_words(text: str, words: str) -> None:
    assert setup_env.last_words(text) == words


def test_the_script_needs_nothing_that_is_installed() -> None:
    """Without site-packages, and from another folder, as a bootstrap interpreter may run it."""
    script = setup_env.ROOT / "bench/setup_env.py"
    done = subprocess.run([sys.executable, "-S", script, "--help"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert "--extras" in done.stdout
