"""The doctor: what it finds on machines that are folders here, and what it never says."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import neuron_tree
import pytest

from backends.contract import Availability
from bench import doctor
from bench.doctor import COLUMNS, name_clashes, print_diagnosis
from results.record import Instance

Say = Callable[..., str]


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Makes a machine of the given small files, and returns what the doctor says of it."""

    def diagnose(**files: str) -> str:
        for name, content in files.items():
            path = tmp_path / "machine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        print_diagnosis(tmp_path / "machine")
        return capsys.readouterr().out

    return diagnose


def fact(said: str, label: str) -> str:
    """The value beside the label, continued lines included."""
    lines = said.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"  {label}  "))
    value = [lines[first].removeprefix(f"  {label}").strip()]
    for line in lines[first + 1 :]:
        if not line.startswith(" " * 18):
            break
        value.append(line.strip())
    return " ".join(value)


def test_this_machine(say: Say) -> None:
    said = say()
    for heading in ("Backends", "Machine", "Disk", "Software", "Packages"):
        assert heading in said.splitlines()
    assert fact(said, "torch-cpu") == "ready"
    assert fact(said, "accelerators") == "none found"
    assert fact(said, "driver") == "none found"
    assert "fairchip" in said
    assert fact(said, "numpy")


def test_lines_are_short_and_plain(say: Say) -> None:
    for line in say(**{"dev/neuron0": ""}).splitlines():
        alone = len(line.split()) <= 2 or line.startswith("  fix ")
        assert len(line) <= COLUMNS or alone, "only what is to be copied whole: a path, a command"
        assert line.isascii()
        assert "\x1b" not in line


def test_memory_processor_and_what_a_container_may_use(say: Say) -> None:
    said = say(
        **{
            "proc/cpuinfo": "processor : 0\nmodel name : Some Chip 9000\n",
            "proc/meminfo": "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\nHugePages_Total:  0\n",
            "sys/fs/cgroup/memory.max": "4294967296\n",
            "sys/fs/cgroup/cpu.max": "150000 100000\n",
        }
    )
    assert fact(said, "processor") == "Some Chip 9000"
    assert fact(said, "memory") == "16.0 GiB in all, 8.0 GiB available"
    assert fact(said, "memory limit").startswith("4.0 GiB")
    assert fact(said, "CPU limit").startswith("1.50 CPUs")


def test_no_container_says_no_limit(say: Say) -> None:
    said = say(**{"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert "limit" not in said


def test_an_ec2_machine_with_neuron_devices(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    said = say(
        **{
            "sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
            "sys/class/dmi/id/product_name": "trn2.3xlarge\n",
            "sys/module/neuron/version": "2.19.64.0\n",
            "dev/neuron0": "",
            "sys/class/neuron_device/neuron0/info/architecture/device_name": "Trainium2\n",
        }
    )
    assert fact(said, "cloud") == "aws (DMI product_name)"
    assert fact(said, "instance") == "trn2.3xlarge"
    assert fact(said, "accelerators") == "1 x Trainium2"
    assert fact(said, "driver") == "neuron 2.19.64.0"
    assert fact(said, "neuronx-cc") == "not on PATH"
    assert "neuronx-cc>=2" in said or "export PATH" in said


def test_a_rented_machine_says_where_it_is_and_how_it_was_bought(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"provider": "aws", "name": "trn2.3xlarge", "source": "DMI product_name; IMDSv2"}
    rented = Instance(**told, region="us-east-2", purchase_model="capacity-block")
    monkeypatch.setattr("bench.environment.detect_instance", lambda dmi: rented)
    said = say()
    assert fact(said, "cloud") == "aws (DMI product_name; IMDSv2)"
    assert fact(said, "region") == "us-east-2"
    assert fact(said, "bought as") == "capacity-block"
    monkeypatch.setattr("bench.environment.detect_instance", lambda dmi: Instance(**told))
    said = say()
    assert fact(said, "bought as") == fact(said, "region") == "unknown"


def test_a_machine_of_no_known_cloud_says_how_to_get_a_cost(say: Say) -> None:
    said = say()
    assert fact(said, "cloud") == "unknown (DMI names no known cloud)"
    assert "--usd-per-hour" in said
    assert "--instance" in said


def test_a_missing_backend_has_its_reason_and_its_fix(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Availability(available=False, device_type="x", reason="no such chip", fix="buy 'one'")
    monkeypatch.setattr(doctor, "availabilities", lambda: {"jax-cpu": absent})
    said = say()
    assert fact(said, "jax-cpu") == "no: no such chip"
    assert fact(said, "fix") == "buy 'one'"


def test_no_compiler_has_its_fix(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "dnf").write_text("#!/bin/sh\n")
    (tmp_path / "dnf").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    said = say()
    assert fact(said, "C++ compiler") == "none: torch runs eager"
    assert "sudo dnf install gcc-c++" in said


def test_missing_reporting_libraries_have_their_fix(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    said = say()
    assert fact(said, "scipy") == "not installed: records are made, but not compared"
    assert "pip install -e '.[report]'" in said


def test_disk_and_what_killed_runs_left(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "fairchip-cache-x" / "inductor"
    left.mkdir(parents=True)
    (left.parent / ".lock").touch()
    with (left / "code").open("wb") as file:
        file.truncate(3 * 2**29)  # a hole: no room is taken
    said = say()
    assert fact(said, "left caches") == "1 of killed runs, 1.5 GiB; the next suite removes them"
    (left / "code").unlink()
    left.rmdir()
    (left.parent / ".lock").unlink()
    left.parent.rmdir()
    assert "left caches" not in say()
    assert "GiB free" in fact(say(), "records")


def test_little_room_and_a_folder_that_cannot_be_written_have_their_fix(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "LITTLE_ROOM_BYTES", 2**80)
    assert "export TMPDIR=" in say()
    monkeypatch.undo()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "not writable" in fact(say(), "records")


def test_a_host_identifier_that_cannot_be_kept(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert fact(say(), "host id").startswith("random, kept here")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAIRCHIP_STATE", str(tmp_path / "file"))
    said = say()
    assert fact(said, "host id").startswith("cannot be kept")
    assert "export FAIRCHIP_STATE=" in said


def test_another_package_of_our_name_is_a_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "packages_distributions", lambda: {"bench": ["fairchip", "other-thing"]})
    assert name_clashes() == ["bench also comes from other-thing: use an environment of fairchip's own"]


def test_it_may_be_pasted_into_a_bug_report(say: Say, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "people" / "mallory"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("XY_TOKEN", "tok-98765")
    monkeypatch.setattr(socket, "gethostname", lambda: "lab42")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", f"{home}/tok-98765/bin/python")
    absent = Availability(available=False, device_type="x", reason=f"lab42: no {home}/x", fix="ask m@lab42.org")
    monkeypatch.setattr(doctor, "availabilities", lambda: {"jax-cpu": absent})
    said = say()
    for private in (str(home), "mallory", "lab42", "tok-98765"):
        assert private not in said
    assert fact(said, "interpreter") == "~/<masked>/bin/python"


def test_it_is_quick_and_imports_no_framework() -> None:
    code = (
        "import sys; from bench.doctor import print_diagnosis; print_diagnosis()\n"
        "sys.exit(bool({'torch', 'jax', 'pandas', 'scipy'} & sys.modules.keys()))"
    )
    start = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], timeout=60, stdout=subprocess.DEVNULL).returncode == 0
    assert time.monotonic() - start < 3


def test_neuron_chips_cores_and_what_does_not_agree(say: Say, tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    neuron_tree.trn2_3xlarge(machine)
    neuron_tree.neuron_ls(machine, [neuron_tree.listed(0, memory_size=512 * 2**30)])
    said = say()
    assert fact(said, "Neuron") == "1 x Trainium2: 4 logical cores a chip, 2 physical each (neuron-ls), 24.0 GiB a core"
    assert fact(said, "runtime") == "version 2.28.23.0-dd5879008"
    assert "data sheet" in fact(said, "conflict")
