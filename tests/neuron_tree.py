"""Makes Neuron machines for tests: device files, sysfs and AWS's tools below a folder, in recorded shapes.

The shapes are those of the Neuron Sysfs, neuron-ls and neuron-monitor User Guides and of trn1.2xlarge and trn2
machines; every identifier in them is made up.
"""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

SYSFS = "sys/devices/virtual/neuron_device"
CLASS = "sys/class/neuron_device"
TOOLS = "opt/aws/neuron/bin"
SECRETS = (
    "i-0a1b2c3d4e5f67890", "ami-0a1b2c3d4e5f67890", "subnet-0a1b2c3d", "usw2-az4", "us-west-2d", "acme-train-7",
    "0000:cc:00.0", "268911", "grace.py", "2f1e9c77aa", "job-of-grace",
)  # fmt: skip
"""Whatever identifies a machine, a person or a job in the trees below."""
INSTANCE = {
    "instance_name": "acme-train-7",
    "instance_id": "i-0a1b2c3d4e5f67890",
    "instance_type": "trn2.48xlarge",
    "instance_availability_zone": "us-west-2d",
    "instance_availability_zone_id": "usw2-az4",
    "ami_id": "ami-0a1b2c3d4e5f67890",
    "subnet_id": "subnet-0a1b2c3d",
    "error": "",
}
DPKG = """Package: aws-neuronx-runtime-lib
Status: install ok installed
Section: misc
Version: 2.28.23.0-dd5879008
Description: runtime
 Version: 9.9.9

Package: aws-neuronx-collectives
Status: install ok installed
Version: 2.28.27.0-bc30ece58

Package: aws-neuronx-tools
Status: {tools_status}
Version: 2.26.14.0
"""


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write files by their paths below ``root``."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    return root


def devices(root: Path, numbers: Iterable[int], name: str, family: str, arch: str, folder: str = SYSFS) -> Path:
    """Device files and sysfs folders, serial numbers included."""
    for number in numbers:
        about = f"{folder}/neuron{number}/info"
        write(
            root,
            {
                f"dev/neuron{number}": "",
                f"{about}/serial_number": "2f1e9c77aa\n",
                f"{about}/architecture/device_name": f"{name}\n",
                f"{about}/architecture/instance_type": f"{family}\n",
                f"{about}/architecture/arch_type": f"{arch}\n",
            },
        )
    return root


def versions(root: Path, tools_status: str = "install ok installed") -> Path:
    """Driver and packages."""
    return write(
        root,
        {
            "sys/module/neuron/version": "2.24.7.0\n",
            "var/lib/dpkg/status": DPKG.format(tools_status=tools_status),
        },
    )


def listed(number: int = 0, **replace: Any) -> dict[str, Any]:
    """One device as neuron-ls prints it on trn2 at LNC=2; None as a value leaves the key out."""
    cores = replace.get("nc_count", 4) or 4
    entry: dict[str, Any] = {
        "instance_type": "trn2.48xlarge",
        "instance_id": "i-0a1b2c3d4e5f67890",
        "neuron_device": number,
        "bdf": "0000:cc:00.0",
        "cpu_affinity": "48-95,144-191",
        "numa_node": "1",
        "connected_to": [12, 3, 4, 1],
        "nc_count": 4,
        "logical_neuroncore_config": 2,
        "memory_size": 103079215104,
        "neuroncore_ids": list(range(number * cores, (number + 1) * cores)),
        "neuron_processes": [{"pid": 268911, "command": "python grace.py", "neuron_runtime_version": "2.34.10"}],
    }
    return {key: value for key, value in (entry | replace).items() if value is not None}


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def neuron_ls(root: Path, output: object, code: int = 0) -> Path:
    """AWS's tool, printing this (text as it is, anything else as JSON), if it is asked for JSON."""
    text = output if isinstance(output, str) else json.dumps(output, indent=4)
    content = write(root, {"neuron-ls.out": text}) / "neuron-ls.out"
    body = f'[ "$1" = --json-output ] || exit 64\ncat {shlex.quote(str(content))}\necho log >&2\nexit {code}'
    return script(root / TOOLS / "neuron-ls", body)


def trn1_2xlarge(root: Path) -> Path:
    """One Trainium1 chip; the kernel knows no NUMA node, the tool no logical cores and no neighbours."""
    entry = listed(
        cpu_affinity="0-7", numa_node="-1", nc_count=2, logical_neuroncore_config=None, memory_size=34359738368
    )
    neuron_ls(devices(root, [0], "Trainium1", "Trn1", "NDv2"), [entry | {"connected_to": None}])
    return versions(root)


def trn2_3xlarge(root: Path) -> Path:
    """One Trainium2 chip at LNC=2."""
    entry = listed(cpu_affinity="0-11", numa_node="0", instance_type="trn2.3xlarge") | {"connected_to": None}
    neuron_ls(devices(root, [0], "Trainium2", "Trn2", "NDv3"), [entry])
    return versions(root)


def trn2_48xlarge(root: Path) -> Path:
    """Sixteen Trainium2 chips at LNC=1, on two NUMA nodes."""
    entries = [
        listed(number, nc_count=8, logical_neuroncore_config=1, numa_node=str(number // 8)) for number in range(16)
    ]
    neuron_ls(devices(root, range(16), "Trainium2", "Trn2", "NDv3"), entries)
    return versions(root)


def core(utilization: float, flops: float, key: str = "flops", physical: Sequence[float] = ()) -> dict[str, Any]:
    """One core's counters; ``physical``: utilisation of the physical cores that make it up at LNC=2."""
    parts = {f"nc_v3.{index}": {"neuroncore_utilization": value} for index, value in enumerate(physical)}
    return {"neuroncore_utilization": utilization, key: flops} | ({"v3d": parts} if parts else {})


def runtime(cores: Mapping[str, Any], memory: int = 2**30, completed: int = 10, error: str = "") -> dict[str, Any]:
    """One runtime of a record; no program ran in the period, so the latencies are null."""
    return {
        "pid": 268911,
        "address": "",
        "neuron_runtime_tag": "job-of-grace",
        "error": error,
        "report": {
            "neuroncore_counters": {"period": 1.000113182, "neuroncores_in_use": dict(cores), "error": ""},
            "execution_stats": {
                "period": 1.03,
                "error_summary": {
                    "generic": 1, "numerical": 0, "transient": 2, "model": 0, "runtime": 0, "hardware": 0,
                },
                "execution_summary": {"completed": completed, "completed_with_err": 1, "timed_out": 0},
                "latency_stats": {"total_latency": None, "device_latency": None},
                "error": "",
            },
            "memory_used": {
                "period": 1.0,
                "neuron_runtime_used_bytes": {
                    "host": 6997643264,
                    "neuron_device": memory,
                    "usage_breakdown": {"neuroncore_memory_usage": {"0": {"tensors": 20971520, "model_code": 1}}},
                },
                "error": "",
            },
        },
    }  # fmt: skip


def record(runtimes: Sequence[Any] | None = (), **replace: Any) -> dict[str, Any]:
    """One record of neuron-monitor on trn2 at LNC=2."""
    ecc = {"mem_ecc_corrected": 3, "mem_ecc_uncorrected": 0, "sram_ecc_uncorrected": 1, "sram_ecc_corrected": 4}
    counted = [{"neuron_device_index": number, **ecc} for number in (0, 1)]
    return {
        "neuron_runtime_data": None if runtimes is None else list(runtimes),
        "system_data": {"neuron_hw_counters": {"period": 1.01, "neuron_devices": counted, "error": ""}},
        "instance_info": INSTANCE,
        "neuron_hardware_info": {
            "neuron_device_type": "trainium2",
            "neuroncore_version": "v3d",
            "neuron_device_count": 16,
            "neuron_device_memory_size": 103079215104,
            "neuroncore_per_device_count": 4,
            "logical_neuroncore_config": 2,
            "error": "",
        },
    } | replace


def neuron_monitor(root: Path, lines: Iterable[object], then: str = "sleep 600", before: str = "") -> Path:
    """AWS's tool: prints these lines (text as it is, anything else as JSON), writes ``printed``, then does ``then``.

    Beside the tool's folder it leaves ``starts`` with its process id, a line a start, and ``config`` as it was given.
    """
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    folder = shlex.quote(str(write(root, {"monitor.out": text})))
    body = (
        f'cd {folder}\necho $$ >>starts\n[ "$1" = -c ] && cp "$2" config\n{before}\ncat monitor.out\n: >printed\n{then}'
    )
    return script(root / TOOLS / "neuron-monitor", body)
