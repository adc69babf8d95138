"""What is read of a Neuron machine, from made-up trees: three instances as recorded, and what tools get wrong."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import neuron_tree as tree
import psutil
import pytest

from backends.neuron.checks import data_sheet
from backends.neuron.machine import NeuronMachine, describe, read_machine
from results.peaks import load_accelerators

GIB = 2**30


@pytest.fixture(autouse=True)
def _no_tools_or_variables_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("NEURON_LOGICAL_NC_CONFIG", "NEURON_RT_VIRTUAL_CORE_SIZE"):
        monkeypatch.delenv(name, raising=False)


def read(root: Path) -> NeuronMachine:
    machine = read_machine(root)
    assert machine is not None
    return machine


def trainium2(root: Path, output: object = None, code: int = 0, numbers: range = range(1)) -> NeuronMachine:
    """A Trainium2 machine with this output of neuron-ls, or without the tool."""
    tree.devices(root, numbers, "Trainium2", "Trn2", "NDv3")
    if output is not None:
        tree.neuron_ls(root, output, code)
    return read(root)


# Whole machines


def test_trn1_2xlarge(tmp_path: Path) -> None:
    machine = read(tree.trn1_2xlarge(tmp_path))
    assert (machine.chip, machine.instance_type, len(machine.chips)) == ("Trainium1", "Trn1", 1)
    assert (machine.logical_cores_per_chip, machine.logical_neuroncore_config) == (2, None)
    assert (machine.memory_bytes_per_chip, machine.memory_bytes_per_logical_core) == (32 * GIB, 16 * GIB)
    assert machine.conflicts == ()


def test_trn2_3xlarge_has_24_gib_a_core(tmp_path: Path) -> None:
    machine = read(tree.trn2_3xlarge(tmp_path))
    assert (machine.chip, machine.instance_type, len(machine.chips)) == ("Trainium2", "Trn2", 1)
    assert (machine.logical_cores_per_chip, machine.logical_neuroncore_config) == (4, 2)
    assert machine.logical_neuroncore_config_source == machine.memory_source == "neuron-ls"
    assert (machine.memory_bytes_per_chip, machine.memory_bytes_per_logical_core) == (96 * GIB, 24 * GIB)
    assert (machine.chips[0].numa_node, machine.chips[0].cpu_affinity) == (0, "0-11")
    assert machine.conflicts == ()


def test_trn2_48xlarge_in_the_order_of_its_chips(tmp_path: Path) -> None:
    machine = read(tree.trn2_48xlarge(tmp_path))
    assert [chip.number for chip in machine.chips] == list(range(16))
    assert [chip.numa_node for chip in machine.chips] == [0] * 8 + [1] * 8
    assert (machine.logical_cores_per_chip, machine.logical_neuroncore_config) == (8, 1)
    assert machine.memory_bytes_per_logical_core == 12 * GIB
    assert machine.conflicts == ()


def test_no_device_file_is_no_machine(tmp_path: Path) -> None:
    tree.neuron_ls(tmp_path, [tree.listed()])
    tree.write(tmp_path, {"dev/neuron_foo": "", f"{tree.SYSFS}/neuron0/info/architecture/device_name": "Trainium2"})
    assert read_machine(tmp_path) is None


# Names


@pytest.mark.parametrize(
    ("name", "family", "chip"),
    [
        ("Trainium1", "Trn1", "Trainium1"),
        ("Trainium", "Trn1", "Trainium1"),
        ("Trn1", "", "Trainium1"),
        ("Trn2", "", "Trainium2"),
        ("", "Trn2", "Trainium2"),
        ("Trainium3", "Trn3", "Trainium3"),
        ("Inferentia2", "Inf2", "Inferentia2"),
        ("Trainium9", "Trn9", "Trainium9"),
    ],
)
def test_chips_have_the_names_of_the_table_of_accelerators(tmp_path: Path, name: str, family: str, chip: str) -> None:
    assert read(tree.devices(tmp_path, [0], name, family, "NDv3")).chip == chip


def test_data_sheets_are_those_of_the_table_of_accelerators() -> None:
    table = {accelerator.name: accelerator for accelerator in load_accelerators()}
    for name in ("Trainium1", "Trainium2", "Trainium3"):
        sheet = data_sheet(name)
        assert sheet is not None
        assert sheet.memory_bytes == pytest.approx((table[name].memory_gb or 0) * 1e9, rel=1e-3)
        assert f"{sheet.physical_cores} NeuronCores" in table[name].note


def test_the_architecture_alone_names_no_chip(tmp_path: Path) -> None:
    """NDv3 is Trainium2 and Inferentia2."""
    machine = read(tree.devices(tmp_path, [0], "", "", "NDv3"))
    assert (machine.chip, machine.memory_bytes_per_chip, machine.logical_cores_per_chip) == (None, None, None)


def test_sysfs_may_be_reached_by_class_only(tmp_path: Path) -> None:
    assert read(tree.devices(tmp_path, [0], "Trainium2", "Trn2", "NDv3", folder=tree.CLASS)).chip == "Trainium2"


def test_chips_of_two_kinds_are_a_conflict(tmp_path: Path) -> None:
    tree.devices(tmp_path, [0], "Trainium1", "Trn1", "NDv2")
    machine = read(tree.devices(tmp_path, [1], "Trainium2", "Trn2", "NDv3"))
    assert machine.chip is None
    assert "names of the chips differ" in machine.conflicts[0]


# Logical cores


def test_an_unknown_chip_is_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_LOGICAL_NC_CONFIG", "2")
    machine = read(tree.devices(tmp_path, [0], "Trainium9", "Trn9", "NDv9"))
    assert machine.logical_neuroncore_config is None
    assert machine.logical_cores_per_chip is machine.memory_bytes_per_chip is None
    assert machine.memory_bytes_per_logical_core is None


def test_the_documented_default_is_marked_as_assumed(tmp_path: Path) -> None:
    machine = trainium2(tmp_path)
    assert (machine.logical_neuroncore_config, machine.logical_neuroncore_config_source) == (2, "assumed")
    assert describe(machine)["neuron_logical_neuroncore_config_assumed"] is True
    assert (machine.logical_cores_per_chip, machine.conflicts) == (4, ())


def test_trainium3_has_no_documented_default(tmp_path: Path) -> None:
    machine = read(tree.devices(tmp_path, [0], "Trainium3", "Trn3", "NDv4"))
    assert machine.logical_neuroncore_config is machine.logical_neuroncore_config_source is None
    assert machine.logical_cores_per_chip is machine.memory_bytes_per_logical_core is None
    assert machine.memory_bytes_per_chip == 144 * GIB


@pytest.mark.parametrize("name", ["NEURON_LOGICAL_NC_CONFIG", "NEURON_RT_VIRTUAL_CORE_SIZE"])
def test_a_variable_says_how_many_physical_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    machine = trainium2(tmp_path)
    assert (machine.logical_neuroncore_config, machine.logical_neuroncore_config_source) == (1, name)
    assert machine.logical_cores_per_chip == 8


def test_the_newer_variable_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_RT_VIRTUAL_CORE_SIZE", "2")
    monkeypatch.setenv("NEURON_LOGICAL_NC_CONFIG", "1")
    assert trainium2(tmp_path).logical_neuroncore_config == 1


def test_a_variable_without_sense_is_told_but_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_LOGICAL_NC_CONFIG", "hunter2")
    machine = trainium2(tmp_path)
    assert machine.logical_neuroncore_config_source == "assumed"
    assert "NEURON_LOGICAL_NC_CONFIG" in machine.conflicts[0]
    assert "hunter2" not in str(machine)


def test_neuron_ls_wins_over_a_variable_that_disagrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_LOGICAL_NC_CONFIG", "1")
    machine = trainium2(tmp_path, [tree.listed()])
    assert (machine.logical_neuroncore_config, machine.logical_cores_per_chip) == (2, 4)
    assert "asks for 1" in machine.conflicts[0]


def test_the_configuration_follows_from_the_logical_cores(tmp_path: Path) -> None:
    machine = trainium2(tmp_path, [tree.listed(nc_count=8, logical_neuroncore_config=None)])
    assert (machine.logical_neuroncore_config, machine.logical_neuroncore_config_source) == (1, "neuron-ls")


def test_physical_cores_are_not_taken_for_logical_ones(tmp_path: Path) -> None:
    """Eight cores at LNC=2 would give each 12 GiB, and a rank half of its memory."""
    machine = trainium2(tmp_path, [tree.listed(nc_count=8)])
    assert (machine.logical_cores_per_chip, machine.memory_bytes_per_logical_core) == (4, 24 * GIB)
    assert "8 cores" in machine.conflicts[0]


@pytest.mark.parametrize("config", [0, 3, -1, True, "2", [2]])
def test_an_impossible_configuration_is_not_believed(tmp_path: Path, config: object) -> None:
    machine = trainium2(tmp_path, [tree.listed(logical_neuroncore_config=config, nc_count=None)])
    assert machine.logical_neuroncore_config_source == "assumed"


def test_trainium1_has_no_logical_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_LOGICAL_NC_CONFIG", "2")
    machine = read(tree.devices(tmp_path, [0], "Trainium1", "Trn1", "NDv2"))
    assert (machine.logical_neuroncore_config, machine.logical_cores_per_chip) == (None, 2)
    assert machine.conflicts == ()


def test_chips_that_are_set_up_differently_are_a_conflict(tmp_path: Path) -> None:
    entries = [tree.listed(0), tree.listed(1, nc_count=8, logical_neuroncore_config=1)]
    machine = trainium2(tmp_path, entries, numbers=range(2))
    assert any("configurations differ" in conflict for conflict in machine.conflicts)
    assert machine.logical_neuroncore_config_source == "assumed"


# Memory


def test_half_a_tebibyte_on_a_chip_is_not_believed(tmp_path: Path) -> None:
    """The figure of EC2's DescribeInstanceTypes."""
    machine = trainium2(tmp_path, [tree.listed(memory_size=512 * GIB)])
    assert (machine.memory_bytes_per_chip, machine.memory_source) == (96 * GIB, "data sheet")
    assert machine.memory_bytes_per_logical_core == 24 * GIB
    assert str(512 * GIB) in machine.conflicts[0]


def test_a_little_less_than_the_data_sheet_is_believed(tmp_path: Path) -> None:
    machine = trainium2(tmp_path, [tree.listed(memory_size=95 * GIB)])
    assert (machine.memory_bytes_per_chip, machine.memory_source) == (95 * GIB, "neuron-ls")
    assert machine.conflicts == ()


def test_without_the_tool_memory_is_the_data_sheet_s(tmp_path: Path) -> None:
    machine = trainium2(tmp_path)
    assert (machine.memory_bytes_per_chip, machine.memory_source) == (96 * GIB, "data sheet")


def test_an_unknown_chip_s_memory_is_the_tool_s(tmp_path: Path) -> None:
    tree.neuron_ls(tree.devices(tmp_path, [0], "Trainium9", "Trn9", "NDv9"), [tree.listed(memory_size=200 * GIB)])
    machine = read(tmp_path)
    assert (machine.memory_bytes_per_chip, machine.memory_bytes_per_logical_core) == (200 * GIB, 50 * GIB)


# neuron-ls


@pytest.mark.parametrize(("told", "node"), [("1", 1), ("-1", None), (0, 0), (-1, None), ("one", None), (None, None)])
def test_the_numa_node_is_a_string_and_may_be_unknown(tmp_path: Path, told: object, node: int | None) -> None:
    assert trainium2(tmp_path, [tree.listed(numa_node=told)]).chips[0].numa_node == node


def test_missing_and_null_keys_are_tolerated(tmp_path: Path) -> None:
    output = '[{"neuron_device": 0, "connected_to": null, "nc_count": null, "memory_size": null}]'
    machine = trainium2(tmp_path, output)
    assert (machine.logical_cores_per_chip, machine.memory_source, machine.conflicts) == (4, "data sheet", ())
    assert machine.chips[0].numa_node is machine.chips[0].cpu_affinity is None


def test_a_container_sees_some_chips_only(tmp_path: Path) -> None:
    entries = [tree.listed(number, cpu_affinity=f"{number}") for number in range(16)]
    machine = trainium2(tmp_path, entries, numbers=range(9, 12))
    assert [(chip.number, chip.cpu_affinity) for chip in machine.chips] == [(9, "9"), (10, "10"), (11, "11")]
    assert "16 devices" in machine.conflicts[0]


def test_exit_1_without_output_is_no_device(tmp_path: Path) -> None:
    machine = trainium2(tmp_path, "", code=1)
    assert machine.conflicts == ("neuron-ls lists no device",)
    assert machine.memory_source == "data sheet"


@pytest.mark.parametrize(
    "output",
    ["", "nonsense", "{}", "null", '{"neuron_device": 0}', "[" * 100_000, "\x00\x01", '[{"neuron_device": 1'],
    ids=["empty", "words", "object", "null", "device", "deep", "binary", "cut"],
)
def test_garbage_is_noted_and_believed_in_nothing(tmp_path: Path, output: str) -> None:
    machine = trainium2(tmp_path, output)
    assert machine.conflicts == ("neuron-ls printed no list of devices",)
    assert machine.logical_neuroncore_config_source == "assumed"


@pytest.mark.parametrize("output", ["[]", "[null, 3, []]", '[{"neuron_device": "x"}]', '[{"neuron_device": true}]'])
def test_a_list_without_devices_is_noted(tmp_path: Path, output: str) -> None:
    assert trainium2(tmp_path, output).conflicts == ("neuron-ls lists no device",)


def test_a_tool_that_hangs_is_ended_with_what_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.neuron.listing.LIMIT_SECONDS", 0.5)
    tree.script(tmp_path / tree.TOOLS / "neuron-ls", f"sleep 600 &\necho $! >{tmp_path}/child\nwait")
    began = time.monotonic()
    machine = trainium2(tmp_path)
    assert time.monotonic() - began < 5
    assert "did not answer" in machine.conflicts[0]
    assert not runs(int((tmp_path / "child").read_text()))


def runs(pid: int) -> bool:
    """Whether a process that is not dead yet has this number."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_tool_that_cannot_be_started_is_noted(tmp_path: Path) -> None:
    broken = tree.script(tmp_path / tree.TOOLS / "neuron-ls", "")
    broken.write_bytes(b"\x7fELF for another processor")
    assert trainium2(tmp_path).conflicts == ("neuron-ls could not be started",)


def test_the_tool_is_found_off_the_path_and_on_it_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trainium2(tmp_path, [tree.listed(cpu_affinity="1")]).chips[0].cpu_affinity == "1"
    tree.neuron_ls(tmp_path / "other", [tree.listed(cpu_affinity="2")])
    monkeypatch.setenv("PATH", f"{tmp_path / 'other' / tree.TOOLS}:/usr/bin:/bin")
    assert read(tmp_path).chips[0].cpu_affinity == "2"


# Versions


def test_versions_of_driver_and_packages(tmp_path: Path) -> None:
    machine = read(tree.trn2_3xlarge(tmp_path))
    assert machine.driver_version == "2.24.7.0"
    assert machine.runtime_version == "2.28.23.0-dd5879008"
    assert machine.collectives_version == "2.28.27.0-bc30ece58"
    assert machine.tools_version == "2.26.14.0"


def test_a_removed_package_has_no_version(tmp_path: Path) -> None:
    tree.versions(tree.trn2_3xlarge(tmp_path), tools_status="deinstall ok config-files")
    assert read(tmp_path).tools_version is None


def test_versions_are_unknown_where_nothing_tells(tmp_path: Path) -> None:
    machine = trainium2(tmp_path)
    assert machine.driver_version is machine.runtime_version is None
    assert machine.collectives_version is machine.tools_version is None


def test_a_damaged_status_file_is_no_version(tmp_path: Path) -> None:
    status = tree.write(tmp_path, {"var/lib/dpkg/status": ""}) / "var/lib/dpkg/status"
    status.write_bytes(b"Package: aws-neuronx-tools\nStatus: install ok installed\n\xff\xfe\n\nVersion: 1\n\n\n:")
    assert trainium2(tmp_path).tools_version is None


# The record

MACHINES = [tree.trn1_2xlarge, tree.trn2_3xlarge, tree.trn2_48xlarge]


@pytest.mark.parametrize("make", MACHINES)
def test_no_identifier_comes_out(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    machine = read(make(tmp_path))
    told = json.dumps([asdict(machine), describe(machine)]) + repr(machine)
    assert not [secret for secret in tree.SECRETS if secret in told]
    assert str(tmp_path) not in told


def test_what_stands_where_a_list_of_processors_should_be_does_not_come_out(tmp_path: Path) -> None:
    machine = trainium2(tmp_path, [tree.listed(cpu_affinity="i-0a1b2c3d4e5f67890", numa_node="acme-train-7")])
    assert machine.chips[0].cpu_affinity is machine.chips[0].numa_node is None


def test_the_description_is_flat_and_complete(tmp_path: Path) -> None:
    told = describe(read(tree.trn2_48xlarge(tmp_path)))
    assert all(name.startswith("neuron_") for name in told)
    assert all(value is None or isinstance(value, str | int | float | bool) for value in told.values())
    assert (told["neuron_chip"], told["neuron_chip_count"]) == ("Trainium2", 16)
    assert told["neuron_memory_bytes_per_logical_core"] == 12 * GIB
    assert told["neuron_numa_nodes"] == " ".join(["0"] * 8 + ["1"] * 8)
    assert told["neuron_logical_neuroncore_config_assumed"] is False
    assert told["neuron_conflicts"] is None


def test_what_is_unknown_is_described_as_unknown(tmp_path: Path) -> None:
    told = describe(trainium2(tmp_path, "nonsense"))
    assert told["neuron_numa_nodes"] is told["neuron_cpu_affinity"] is None
    assert told["neuron_conflicts"] == "neuron-ls printed no list of devices"


def test_some_unknown_nodes_keep_their_place(tmp_path: Path) -> None:
    entries = [tree.listed(0, numa_node="-1"), tree.listed(1, numa_node="1")]
    assert describe(trainium2(tmp_path, entries, numbers=range(2)))["neuron_numa_nodes"] == "unknown 1"


def test_no_framework_is_imported() -> None:
    code = (
        "import sys, backends.neuron.machine, backends.neuron.telemetry\n"
        "sys.exit(bool({'torch', 'jax', 'torch_neuronx', 'torch_xla'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
