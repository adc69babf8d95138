"""What is read beside a run on Neuron devices: power in percent, the monitor's whole periods, peaks of memory."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import neuron_tree as tree
import psutil
import pytest

from backends.neuron import telemetry
from backends.neuron.monitor_record import figures_of
from backends.neuron.telemetry import MonitorSampler, PowerSampler, device_memory_peak_bytes, samplers
from bench.sampling import Watch, read_devices

GIB = 2**30


@pytest.fixture(autouse=True)
def _no_tools_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def eventually(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def runs(pid: int) -> bool:
    """Whether a process that is not dead yet has this number."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# Power


def power(root: Path, text: str | None) -> Mapping[str, float | None]:
    if text is not None:
        tree.write(root, {f"{tree.SYSFS}/neuron3/stats/power/utilization": text})
    return PowerSampler(root, 3).read()


def test_power_is_percent_in_the_driver_s_order(tmp_path: Path) -> None:
    """Least, greatest, mean: not least, mean, greatest."""
    assert power(tmp_path, "POWER_STATUS_VALID,1767225600,2.50,25.00,18.90\n") == {
        "power_status": 1.0,
        "power_published_unix_seconds": 1767225600.0,
        "power_percent_of_maximum_minimum": 2.5,
        "power_percent_of_maximum_maximum": 25.0,
        "power_percent_of_maximum_average": 18.9,
    }


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("POWER_STATUS_NO_DATA,1767225600,0.00,0.00,0.00\n", 0.0),
        ("POWER_STATUS_INVALID,1767225600,1.00,2.00,1.50\n", -1.0),
        ("POWER_STATUS_MAX,1767225600,1.00,2.00,1.50\n", None),
        ("POWER_STATUS_VALID,1767225600,1.00,2.00\n", None),
        ("POWER_STATUS_VALID,1767225600,1.00,2.00,1.50,9\n", None),
        ("POWER_STATUS_VALID,soon,1.00,2.00,1.50\n", None),
        ("POWER_STATUS_VALID,0,1.00,2.00,1.50\n", None),
        ("POWER_STATUS_VALID,1767225600,nan,2.00,1.50\n", None),
        ("POWER_STATUS_VALID,1767225600,1.00,inf,1.50\n", None),
        ("POWER_STATUS_VALID,1767225600,1.00,250.00,1.50\n", None),
        ("POWER_STATUS_VALID,1767225600,-1.00,2.00,1.50\n", None),
        ("POWER_STATUS_VALID\n", None),
        ("busy\n", None),
        ("", None),
        (None, None),
    ],
)
def test_power_that_is_not_valid_is_unknown_and_never_zero(
    tmp_path: Path, text: str | None, status: float | None
) -> None:
    told = dict(power(tmp_path, text))
    assert told.pop("power_status") == status
    assert len(told) == 4
    assert set(told.values()) == {None}


def test_no_name_claims_watts_or_joules(tmp_path: Path) -> None:
    told = power(tmp_path, "POWER_STATUS_VALID,1767225600,2.50,25.00,18.90\n")
    names = [*told, *(figures_of(json.dumps(tree.record([tree.runtime({"0": tree.core(1, 2)})])).encode()) or {})]
    assert not [name for name in names if any(unit in name for unit in ("watt", "joule", "energy"))]
    assert all("percent_of_maximum" in name for name in told if name not in _NO_POWER)


_NO_POWER = ("power_status", "power_published_unix_seconds")


def test_power_may_be_reached_by_class_only(tmp_path: Path) -> None:
    text = "POWER_STATUS_VALID,1767225600,2.50,25.00,18.90\n"
    tree.write(tmp_path, {f"{tree.CLASS}/neuron0/stats/power/utilization": text})
    assert PowerSampler(tmp_path, 0).read()["power_percent_of_maximum_average"] == 18.9


def test_one_sampler_a_chip_that_publishes_power_and_one_monitor(tmp_path: Path) -> None:
    tree.devices(tmp_path, (0, 2, 10), "Trainium2", "Trn2", "NDv3")
    for number in (0, 2, 10):
        tree.write(tmp_path, {f"{tree.SYSFS}/neuron{number}/stats/power/utilization": ""})
    tree.devices(tmp_path, [3], "Trainium2", "Trn2", "NDv3")
    names = [sampler.name for sampler in samplers(tmp_path)]
    assert names == ["neuron-power-0", "neuron-power-2", "neuron-power-10", "neuron-monitor"]


def test_no_device_no_sampler(tmp_path: Path) -> None:
    assert samplers(tmp_path) == []


# Records of the monitor


def figures(record: object) -> dict[str, float | None]:
    told = figures_of(json.dumps(record).encode())
    assert told is not None
    return told


def test_two_runtimes_in_one_record() -> None:
    first = tree.runtime({"0": tree.core(40.0, 1e12), "1": tree.core(60.0, 2e12)}, memory=GIB, completed=7)
    second = tree.runtime({"4": tree.core(80.0, 4e12)}, memory=3 * GIB, completed=5)
    assert figures(tree.record([first, second])) == {
        "period_seconds": 1.000113182,
        "runtimes": 2.0,
        "runtimes_unreadable": 0.0,
        "neuroncores_in_use": 3.0,
        "neuroncore_utilization_percent_mean": 60.0,
        "flop_per_second": 7e12,
        "device_memory_bytes": 4.0 * GIB,
        "executions_completed": 12.0,
        "execution_errors": 6.0,
        "ecc_corrected_events": 14.0,
        "ecc_uncorrected_events": 2.0,
        "chip_0_neuroncores_in_use": 2.0,
        "chip_0_neuroncore_utilization_percent_mean": 50.0,
        "chip_0_flop_per_second": 3e12,
        "chip_1_neuroncores_in_use": 1.0,
        "chip_1_neuroncore_utilization_percent_mean": 80.0,
        "chip_1_flop_per_second": 4e12,
    }


def test_two_runtimes_on_one_core_share_it() -> None:
    one = tree.runtime({"0": tree.core(40.0, 1e12)})
    told = figures(tree.record([one, tree.runtime({"0": tree.core(20.0, 3e12)})]))
    assert (told["neuroncores_in_use"], told["flop_per_second"]) == (1.0, 4e12)
    assert told["neuroncore_utilization_percent_mean"] == 60.0


def test_physical_cores_are_part_of_their_logical_core() -> None:
    told = figures(tree.record([tree.runtime({"0": tree.core(42.0, 1e12, physical=(21.0, 63.0))})]))
    assert told["neuroncores_in_use"] == 1.0
    assert told["neuroncore_utilization_percent_mean"] == 42.0


def test_physical_cores_alone_make_the_figure() -> None:
    core = {"v3d": {"nc_v3.0": {"neuroncore_utilization": 21.0}, "nc_v3.1": {"neuroncore_utilization": 63.0}}}
    assert figures(tree.record([tree.runtime({"0": core})]))["neuroncore_utilization_percent_mean"] == 42.0


@pytest.mark.parametrize("key", ["flops", "effective_flops"])
def test_operations_have_either_name(key: str) -> None:
    assert figures(tree.record([tree.runtime({"0": tree.core(1.0, 5e12, key)})]))["flop_per_second"] == 5e12


def test_a_runtime_that_could_not_be_read_is_left_out_and_counted() -> None:
    broken = tree.runtime({"1": tree.core(0.0, 0.0)}, memory=0, completed=0, error="cannot attach")
    told = figures(tree.record([tree.runtime({"0": tree.core(90.0, 1e12)}), broken]))
    assert (told["runtimes"], told["runtimes_unreadable"]) == (2.0, 1.0)
    assert (told["neuroncores_in_use"], told["neuroncore_utilization_percent_mean"]) == (1.0, 90.0)


def test_a_group_that_could_not_be_read_is_unknown_and_not_zero() -> None:
    broken = tree.runtime({"0": tree.core(0.0, 0.0)})
    broken["report"]["neuroncore_counters"]["error"] = "timed out"
    told = figures(tree.record([broken]))
    assert told["flop_per_second"] is told["neuroncore_utilization_percent_mean"] is None
    assert told["executions_completed"] == 10.0


@pytest.mark.parametrize("runtimes", [None, []])
def test_without_a_runtime_nothing_is_known_of_cores(runtimes: list[Any] | None) -> None:
    told = figures(tree.record(runtimes))
    assert (told["runtimes"], told["neuroncores_in_use"], told["period_seconds"]) == (0.0, 0.0, 1.01)
    assert told["neuroncore_utilization_percent_mean"] is told["flop_per_second"] is None
    assert told["executions_completed"] is told["device_memory_bytes"] is None
    assert told["ecc_corrected_events"] == 14.0


@pytest.mark.parametrize(
    "report",
    [
        None,
        {},
        {"neuroncore_counters": None, "memory_used": None, "execution_stats": None},
        {"neuroncore_counters": {"neuroncores_in_use": None}, "memory_used": {"neuron_runtime_used_bytes": None}},
        {"execution_stats": {"error_summary": None, "execution_summary": {"completed": None}}},
        {"neuroncore_counters": {"neuroncores_in_use": {"x": {}, "0": None, "9" * 99: {}}}},
        {"neuroncore_counters": {"neuroncores_in_use": {"0": {"neuroncore_utilization": True, "flops": "many"}}}},
        {"neuroncore_counters": {"neuroncores_in_use": {"0": {"flops": -1, "effective_flops": 10**400}}}},
        {"neuroncore_counters": {"neuroncores_in_use": {"0": {"flops": float("inf")}}}},
        {"neuroncore_counters": {"neuroncores_in_use": {"0": {"flops": float("nan"), "v3d": {"nc_v3.0": 3}}}}},
    ],
)
def test_missing_null_and_odd_keys_are_unknown(report: object) -> None:
    told = figures(tree.record([{"report": report}, None, "x"]))
    assert told["flop_per_second"] is told["neuroncore_utilization_percent_mean"] is None
    assert told["device_memory_bytes"] is told["executions_completed"] is told["execution_errors"] is None


@pytest.mark.parametrize("per_chip", [None, 0, -4, "4", True])
def test_without_cores_per_chip_there_are_no_chips(per_chip: object) -> None:
    hardware = {"neuroncore_per_device_count": per_chip}
    told = figures(tree.record([tree.runtime({"5": tree.core(1.0, 1.0)})], neuron_hardware_info=hardware))
    assert not [name for name in told if name.startswith("chip_")]


@pytest.mark.parametrize("line", [b"", b"{", b"null", b"[]", b"3", b"{}", b'{"a": 1}', b"\xff\xfe", b"[" * 100_000])
def test_a_line_that_is_no_record_is_none(line: bytes) -> None:
    assert figures_of(line) is None


def test_only_numbers_leave_a_record() -> None:
    told = figures(tree.record([tree.runtime({"0": tree.core(1.0, 1.0)}, error="")]))
    assert all(value is None or isinstance(value, float) for value in told.values())
    assert not [secret for secret in tree.SECRETS if secret in repr(told)]


# The monitor as a process


@pytest.fixture
def start() -> Iterator[Callable[[Path], MonitorSampler]]:
    """Starts a sampler's tool, which its first reading does; closes the sampler when the test has ended."""
    started: list[MonitorSampler] = []

    def begin(root: Path) -> MonitorSampler:
        started.append(MonitorSampler(root))
        started[-1].read()  # empty, unless the tool is quicker than the return
        return started[-1]

    yield begin
    for sampler in started:
        sampler.close()


Start = Callable[[Path], MonitorSampler]


def busy(flops: float) -> dict[str, Any]:
    return tree.record([tree.runtime({"0": tree.core(50.0, flops)})])


def starts(root: Path) -> list[int]:
    return [int(line) for line in (root / "starts").read_text().split()]


def test_the_newest_whole_period_is_read(tmp_path: Path, start: Start) -> None:
    tree.neuron_monitor(tmp_path, [busy(1.0), busy(2.0), busy(3.0)])
    sampler = start(tmp_path)
    assert eventually(lambda: sampler.read().get("flop_per_second") == 3.0)
    assert sampler.read()["monitor_period_number"] == 2.0


def test_the_first_record_is_no_whole_period(tmp_path: Path, start: Start) -> None:
    """A line of a log before it does not make it the second."""
    tree.neuron_monitor(tmp_path, ["nrt: hello", busy(1.0)])
    sampler = start(tmp_path)
    assert eventually((tmp_path / "printed").exists)
    time.sleep(0.5)
    assert sampler.read() == {}


def test_a_record_that_is_being_written_is_not_read(tmp_path: Path, start: Start) -> None:
    half = json.dumps(busy(9.0))
    tree.neuron_monitor(tmp_path, [busy(1.0), busy(2.0)], then=f"printf '%s' '{half}'\n: >half\nsleep 600")
    sampler = start(tmp_path)
    assert eventually((tmp_path / "half").exists)
    time.sleep(0.3)
    assert sampler.read()["flop_per_second"] == 2.0


def test_a_line_without_end_is_not_held(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose beginning or end looks like a record."""
    monkeypatch.setattr(telemetry, "LONGEST_RECORD_BYTES", 4096)
    fits = json.dumps(busy(9.0))
    assert len(fits) < 4096
    tree.neuron_monitor(tmp_path, [busy(1.0), busy(2.0), "x" * 4096 + fits, fits.ljust(5000)])
    sampler = start(tmp_path)
    assert eventually((tmp_path / "printed").exists)
    time.sleep(0.3)
    assert sampler.read()["flop_per_second"] == 2.0


def test_reading_waits_for_nothing(tmp_path: Path, start: Start) -> None:
    tree.neuron_monitor(tmp_path, [], before="sleep 600")
    sampler = start(tmp_path)
    began = time.monotonic()
    assert [sampler.read() for _ in range(100)] == [{}] * 100
    assert time.monotonic() - began < 1


def test_the_period_is_one_second_in_the_one_way_that_the_tool_takes(tmp_path: Path, start: Start) -> None:
    tree.neuron_monitor(tmp_path, [])
    start(tmp_path)
    assert eventually((tmp_path / "printed").exists)
    config = json.loads((tmp_path / "config").read_text())
    assert config["period"] == "1s"
    (runtimes,) = config["neuron_runtimes"]
    groups = [group["type"] for group in runtimes["metrics"] + config["system_metrics"]]
    assert groups == ["neuroncore_counters", "memory_used", "execution_stats", "neuron_hw_counters"]
    assert "period" not in json.dumps(config).replace('"period": "1s"', "", 1)


def test_nothing_starts_before_the_first_reading(tmp_path: Path) -> None:
    tree.devices(tmp_path, [0], "Trainium2", "Trn2", "NDv3")
    tree.neuron_monitor(tmp_path, [])
    for sampler in samplers(tmp_path):
        sampler.close()
    assert not (tmp_path / "starts").exists()


def test_a_missing_tool_is_no_reading(tmp_path: Path) -> None:
    sampler = MonitorSampler(tmp_path)
    assert sampler.read() == sampler.read() == {}
    sampler.close()


def test_a_host_that_starts_nothing_is_no_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.neuron_monitor(tmp_path, [])
    sampler = MonitorSampler(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # not even a shell
    assert sampler.read() == sampler.read() == {}
    sampler.close()


def test_a_tool_that_ends_leaves_no_old_figures_and_is_not_started_again(tmp_path: Path, start: Start) -> None:
    tree.neuron_monitor(tmp_path, [busy(1.0), busy(2.0)], then="while [ ! -e die ]; do sleep 0.05; done; exit 1")
    sampler = start(tmp_path)
    assert eventually(lambda: sampler.read() != {})
    (tmp_path / "die").touch()
    assert eventually(lambda: sampler.read() == {})
    for _ in range(5):
        assert sampler.read() == {}
        time.sleep(0.05)
    assert len(starts(tmp_path)) == 1


def test_closing_ends_the_tool_and_its_children(tmp_path: Path, start: Start) -> None:
    tree.neuron_monitor(tmp_path, [busy(1.0), busy(2.0)], then="sleep 600 &\necho $! >child\n: >both\nwait")
    sampler = start(tmp_path)
    assert eventually((tmp_path / "both").exists)
    pids = [*starts(tmp_path), int((tmp_path / "child").read_text())]
    assert all(map(runs, pids))
    began = time.monotonic()
    sampler.close()
    assert time.monotonic() - began < 5
    assert eventually(lambda: not any(map(runs, pids)), 2.0)
    assert sampler.read() == {}
    assert len(starts(tmp_path)) == 1
    sampler.close()


def test_a_tool_that_asks_not_to_be_ended_is_ended(tmp_path: Path, start: Start) -> None:
    tree.neuron_monitor(tmp_path, [], before="trap '' TERM INT HUP", then="while :; do sleep 1; done")
    sampler = start(tmp_path)
    assert eventually((tmp_path / "printed").exists)
    sampler.close()
    assert eventually(lambda: not any(map(runs, starts(tmp_path))), 2.0)


def test_closed_before_it_was_read_it_never_starts(tmp_path: Path) -> None:
    tree.neuron_monitor(tmp_path, [])
    sampler = MonitorSampler(tmp_path)
    sampler.close()
    assert sampler.read() == {}
    time.sleep(0.5)
    assert not (tmp_path / "starts").exists()


def test_the_tool_dies_with_its_parent(tmp_path: Path) -> None:
    """Also if the parent is killed, and also if the tool itself never writes to its broken pipe."""
    tree.neuron_monitor(tmp_path, [busy(1.0), busy(2.0)])
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom backends.neuron.telemetry import MonitorSampler\n"
        "sampler = MonitorSampler(Path(sys.argv[1]))\nsampler.read()\ntime.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) as parent:
        try:
            assert eventually((tmp_path / "printed").exists, 30.0)
            (pid,) = starts(tmp_path)
            assert runs(pid)
        finally:
            parent.kill()
    assert eventually(lambda: not runs(pid), 5.0)


def test_an_interruption_of_the_parent_s_group_is_not_the_tool_s(tmp_path: Path, start: Start) -> None:
    """Ctrl-C: the tool lives until it is closed, so that the last samples of a run are whole."""
    tree.neuron_monitor(tmp_path, [])
    start(tmp_path)
    assert eventually((tmp_path / "printed").exists)
    (pid,) = starts(tmp_path)
    assert os.getsid(pid) != os.getsid(0)


def test_a_watch_samples_and_closes_the_tool(tmp_path: Path) -> None:
    tree.devices(tmp_path, [0], "Trainium2", "Trn2", "NDv3")
    text = "POWER_STATUS_VALID,1767225600,2.50,25.00,18.90\n"
    tree.write(tmp_path, {f"{tree.SYSFS}/neuron0/stats/power/utilization": text})
    tree.neuron_monitor(tmp_path, [busy(1.0), busy(2.0)])
    with Watch(os.getpid(), samplers(tmp_path)) as watch:
        assert eventually(lambda: len(watch.device_samples) >= 4)
    told = {sample.sampler: sample.values for sample in watch.device_samples}
    assert told["neuron-power-0"]["power_percent_of_maximum_average"] == 18.9
    assert told["neuron-monitor"]["flop_per_second"] == 2.0
    assert not [secret for secret in tree.SECRETS if secret in repr(watch.device_samples)]
    assert eventually(lambda: not any(map(runs, starts(tmp_path))), 2.0)


def test_a_record_has_the_power_and_of_a_missing_monitor_nothing(tmp_path: Path) -> None:
    tree.devices(tmp_path, [0], "Trainium2", "Trn2", "NDv3")
    tree.write(tmp_path, {f"{tree.SYSFS}/neuron0/stats/power/utilization": "POWER_STATUS_NO_DATA,0,0,0,0"})
    found = samplers(tmp_path)
    assert [sampler.name for sampler in found] == ["neuron-power-0", "neuron-monitor"]
    assert [sample.sampler for sample in read_devices(found, 5.0)] == ["neuron-power-0"]
    for sampler in found:
        sampler.close()


# Peaks of memory

DEVICE_MEM = f"{tree.SYSFS}/neuron0/neuron_core1/stats/memory_usage/device_mem"


def memory(root: Path, **peaks: str) -> Path:
    for category, peak in peaks.items():
        folder = DEVICE_MEM if category == "whole" else f"{DEVICE_MEM}/{category}"
        tree.write(
            root, {f"{folder}/{name}": text for name, text in (("peak", peak), ("total", "5"), ("present", "7"))}
        )
    return root


def test_peaks_are_summed_over_the_categories_that_there_are(tmp_path: Path) -> None:
    memory(tmp_path, tensors="100\n", constants="20\n", model_code="3\n", model_shared_scratchpad="4\n")
    memory(tmp_path, runtime_memory="1000\n", collectives="2000\n")
    assert device_memory_peak_bytes(tmp_path, 0, 1) == 3127


def test_the_driver_s_own_peak_of_the_whole_is_tighter(tmp_path: Path) -> None:
    memory(tmp_path, tensors="100\n", constants="20\n")
    assert device_memory_peak_bytes(memory(tmp_path, whole="110\n"), 0, 1) == 110
    assert device_memory_peak_bytes(memory(tmp_path, whole="0\n"), 0, 1) == 120


def test_peaks_that_are_not_there_are_unknown(tmp_path: Path) -> None:
    assert device_memory_peak_bytes(tmp_path, 0, 1) is None
    assert device_memory_peak_bytes(memory(tmp_path, tensors="busy\n"), 0, 1) is None
    memory(tmp_path, constants="20\n")
    assert device_memory_peak_bytes(tmp_path, 0, 1) == 20
    assert device_memory_peak_bytes(tmp_path, 0, 0) is None
