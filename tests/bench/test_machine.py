"""Which machine this is: firmware, identifiers, environment block."""

from pathlib import Path

import pytest

from bench.environment import read_environment, with_variables
from bench.identity import boot_id, host_id
from bench.instance import detect_instance


@pytest.mark.parametrize(
    ("vendor", "product", "provider", "name"),
    [
        ("Amazon EC2", "trn2.48xlarge", "aws", "trn2.48xlarge"),
        ("Amazon EC2", "HVM domU", "aws", None),
        ("Google", "Google Compute Engine", "gcp", None),
        ("Microsoft Corporation", "Virtual Machine", "azure", None),
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
