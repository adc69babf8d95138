"""Which machine this is: firmware, identifiers, environment block."""

from pathlib import Path

import pytest

from backends.host import accelerators
from bench.environment import read_environment, with_variables
from bench.identity import boot_id, host_id
from bench.instance import detect_instance


@pytest.mark.parametrize(
    ("vendor", "product", "provider", "name"),
    [
        ("Amazon EC2", "trn2.48xlarge", "aws", "trn2.48xlarge"),
        ("Amazon EC2", "HVM domU", "aws", None),
        ("Google", "Google Compute Engine", "gcp", None),
        ("Google", "Eve", None, None),
        ("Microsoft Corporation", "Virtual Machine", None, None),
        ("QEMU", "Standard PC", None, None),
    ],
)
def test_the_firmware_names_the_instance(
    tmp_path: Path, vendor: str, product: str, provider: str | None, name: str | None
) -> None:
    (tmp_path / "sys_vendor").write_text(vendor + "\n")
    (tmp_path / "product_name").write_text(product + "\n")
    found = detect_instance(tmp_path)
    assert (found.provider, found.name) == (provider, name)
    assert found.source


def test_no_firmware_tables_is_unknown(tmp_path: Path) -> None:
    assert detect_instance(tmp_path / "none").provider is None


def test_a_host_keeps_its_random_identifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRCHIP_STATE", str(tmp_path / "one"))
    first = host_id()
    assert host_id() == first
    assert boot_id(first) == boot_id(first) != first
    monkeypatch.setenv("FAIRCHIP_STATE", str(tmp_path / "two"))
    assert host_id() != first


def test_a_damaged_or_unkept_identifier_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRCHIP_STATE", str(tmp_path))
    (tmp_path / "host-id").write_text("nonsense")
    assert len(host_id()) == 32
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FAIRCHIP_STATE", str(tmp_path / "file"))
    assert len(host_id()) == 32


def test_the_environment_block_is_complete_and_quick() -> None:
    found = read_environment()
    assert "numpy" in found.packages
    assert found.logical_cpus >= 1
    assert len(found.source_sha256) == 64


def test_variables_of_relevance_are_kept_and_paths_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libtcmalloc.so")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    found = with_variables(read_environment(), {"MALLOC_TRIM_THRESHOLD_": "1"}).variables
    assert found["OMP_NUM_THREADS"] == "2"
    assert found["LD_PRELOAD"] == "<masked>"
    assert found["MALLOC_TRIM_THRESHOLD_"] == "1"
    assert "AWS_SECRET_ACCESS_KEY" not in found


def make_files(root: Path, **files: str) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def nvidia_gpu(model: str, minor: int) -> str:
    """As the driver writes it (README of the Nvidia driver, chapter on the /proc file system)."""
    return f"Model: \t\t {model}\nIRQ:   \t\t 26\nGPU UUID: \t GPU-????\nDevice Minor: \t {minor}\n"


def test_no_accelerator(tmp_path: Path) -> None:
    assert accelerators(tmp_path) == {}


def test_nvidia_gpus_of_this_container_by_model(tmp_path: Path) -> None:
    """A container sees the driver's files of all GPUs and the device files of its own."""
    files = {f"proc/driver/nvidia/gpus/0000:0{i}:00.0/information": nvidia_gpu("NVIDIA H200", i) for i in range(4)}
    root = make_files(tmp_path, **files, **{"dev/nvidia1": "", "dev/nvidia3": "", "dev/nvidiactl": ""})
    assert accelerators(root) == {"NVIDIA H200": 2}


def test_nvidia_gpus_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    driver = {"proc/driver/nvidia/gpus/0000:01:00.0/information": nvidia_gpu("NVIDIA L4", 0)}
    assert accelerators(make_files(tmp_path / "a", **driver)) == {"NVIDIA L4 without a device file in /dev": 1}
    bus = "sys/bus/pci/devices/0000:01:00.0"
    gpu = {f"{bus}/vendor": "0x10de\n", f"{bus}/class": "0x030200\n"}
    assert accelerators(make_files(tmp_path / "b", **gpu)) == {"Nvidia GPU without a driver": 1}
    sound = {f"{bus}/vendor": "0x10de\n", f"{bus}/class": "0x040300\n"}
    assert accelerators(make_files(tmp_path / "c", **sound)) == {}
    assert accelerators(make_files(tmp_path / "d", **{"dev/nvidia0": ""})) == {"Nvidia GPU": 1}


def test_neuron_devices_by_name(tmp_path: Path) -> None:
    device = "sys/class/neuron_device/neuron0/info/architecture/device_name"
    root = make_files(tmp_path, **{"dev/neuron0": "", "dev/neuron1": "", device: "Trainium2\n"})
    assert accelerators(root) == {"Trainium2": 1, "Neuron device": 1}


def test_amd_gpus_are_the_nodes_with_a_gpu_id(tmp_path: Path) -> None:
    nodes = "sys/class/kfd/kfd/topology/nodes"
    files = {f"{nodes}/0/gpu_id": "0\n", f"{nodes}/1/gpu_id": "63860\n", f"{nodes}/1/name": "gfx942\n"}
    assert accelerators(make_files(tmp_path, **files)) == {"AMD GPU gfx942": 1}


def test_the_drivers_version_is_read_from_its_files(tmp_path: Path) -> None:
    assert read_environment(tmp_path).accelerator_driver is None
    line = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
    root = make_files(tmp_path, **{"proc/driver/nvidia/version": line})
    assert read_environment(root).accelerator_driver == "nvidia 580.65.06"
