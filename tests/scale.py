"""How long a comparison of many records takes, and how much memory: `make scale`, or python tests/scale.py 10000.

Made-up records of five workloads, five backends and many hosts, written as files, then read by the commands that users
give. docs/performance.md holds what it printed.
"""

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders import REFERENCE, make_record

WORKLOADS = ("bytes-5m", "llama-124m", "llama-350m", "llama-1b", "llama-8b")
WITHOUT_REFERENCE = "llama-8b"
MACHINES = {
    "torch-cpu": ("cpu", None),
    "jax-cpu": ("cpu", None),
    "torch-cuda": ("cuda", "p5.48xlarge"),
    "jax-cuda": ("cuda", "p5.48xlarge"),
    "torch-neuron": ("neuron", "trn2.48xlarge"),
}
"""Backend -> device type and instance; a machine without one is a case of its own."""
RUNS = 5
STEPS = 200
SAMPLES = 30
READINGS = {"power_watts": 612.5, "clock_mhz": 1755, "utilisation": 0.97, "throttled": False, "processes": 1}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took."""

    seconds: float
    cpu_seconds: float
    """Of the command itself: what it takes on a machine that does nothing else."""
    peak_bytes: int
    output_lines: int


def write_records(folder: Path, count: int) -> None:
    """About ``count`` record files, a half each below ``A`` and ``B``, always the same."""
    chance = random.Random(count)
    for number, content in zip(range(count), _contents(chance), strict=False):
        place = content["place"]
        suite = folder / "AB"[number // RUNS % 2] / place["suite_id"][:8]
        suite.mkdir(parents=True, exist_ok=True)
        (suite / f"{number:06d}.json").write_text(json.dumps(content, indent=1) + "\n")


def _contents(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Suite after suite of ``RUNS`` records: hosts slowest, so that any number has every workload and backend."""
    kinds = {(workload, backend): _kind(workload, backend) for workload in WORKLOADS for backend in MACHINES}
    host = 0
    while True:
        host += 1
        for workload, backend in kinds:
            for half in range(2):
                suite_id = f"{chance.getrandbits(128):032x}"
                pace = chance.gauss(1, 0.01)
                for round_ in range(RUNS):
                    content = json.loads(kinds[workload, backend])
                    _vary(content, chance, pace * chance.gauss(1, 0.02))
                    content["run_id"] = f"{chance.getrandbits(128):032x}"
                    content["place"] |= {"suite_id": suite_id, "round": round_}
                    content["environment"]["host_id"] = f"{2 * host + half:032x}"
                    yield content


def _kind(workload: str, backend: str) -> str:
    """One record of a workload on a backend, as JSON."""
    device, instance = MACHINES[backend]
    number = WORKLOADS.index(workload)
    record = make_record(
        backend=backend,
        reference=workload != WITHOUT_REFERENCE,
        case__workload=workload,
        case__specification={"model": {"dim": 64 * (number + 1)}, "precision": "fp32"},
        case__device_type=device,
        case__flops_per_token={"6N": 788352 * 8**number, "no-embedding, causal attention": 737280 * 8**number},
        environment__instance={"provider": instance and "aws", "name": instance, "source": "made up"},
    )
    content = record.model_dump(mode="json")
    content["measurement"]["session"] |= {"device_type": device, "device_name": "NVIDIA H100 80GB HBM3"}
    return json.dumps(content)


def _vary(content: dict[str, Any], chance: random.Random, pace: float) -> None:
    """Windows, losses and samples of its own: 10 to 30 windows, about 200 steps."""
    measured, case = content["measurement"], content["case"]
    windows = chance.choice((10, 20, 30))
    steps = (STEPS - 17) // windows
    seconds = steps * pace
    measured["steps_per_window"] = steps
    measured["windows"] = [
        {
            "start_seconds": 10.0 + number * seconds,
            "seconds": seconds * (1 - 0.001 * chance.random()),
            "steps": steps,
            "tokens": steps * case["tokens_per_step"],
            "batch_wait_seconds": 0.001 * chance.random(),
        }
        for number in range(windows)
    ]
    losses = (REFERENCE["losses"][0] * 0.98**step for step in range(17 + windows * steps))
    measured["steps"] = [
        {"step": step, "loss": loss * (1 + 1e-6 * chance.random()), "gradient_norm": chance.random()}
        for step, loss in enumerate(losses)
    ]
    times = [measured["origin_unix_seconds"] + 10 + second for second in range(SAMPLES)]
    content["host_samples"] = [
        {"unix_seconds": at + chance.random(), "other_cpus": 0.01, "stolen_cpus": 0.0, "cpu_mhz": 2000.0}
        for at in times
    ]
    if case["device_type"] != "cpu":
        content["device_samples"] = [
            {"unix_seconds": at + chance.random(), "sampler": "nvml-0", "values": dict(READINGS)} for at in times
        ]


def measure(*arguments: str) -> Cost:
    """One command of fairchip in a process of its own, which blocks until it ends.

    Raises:
        RuntimeError: it failed.
    """
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, output.fileno(), 1)]
        command = [sys.executable, "-P", "-m", "bench", *arguments]
        child = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions)
        _, status, usage = os.wait4(child, 0)
        seconds = time.perf_counter() - start
        if code := os.waitstatus_to_exitcode(status):
            raise RuntimeError(f"fairchip {arguments[0]} ended with {code}")
        output.seek(0)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        return Cost(seconds, cpu_seconds, usage.ru_maxrss * 1024, sum(1 for _ in output))


def main(count: int) -> None:
    """Write the records below a temporary folder and measure the commands that read them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_records(folder, count)
        files = list(folder.rglob("*.json"))
        size = sum(file.stat().st_size for file in files)
        print(f"{len(files):,} records, {size / 1e6:,.0f} MB")
        print("command             seconds  of CPU  peak MB  ms a record  lines")
        commands = {
            "compare A B": ("compare", str(folder / "A"), str(folder / "B")),
            "report A B": ("report", str(folder)),
            "report --format csv": ("report", str(folder), "--format", "csv"),
        }
        for what, arguments in commands.items():
            cost = measure(*arguments)
            each, peak = cost.cpu_seconds / len(files) * 1e3, cost.peak_bytes / 1e6
            times = f"{cost.seconds:>7.1f}{cost.cpu_seconds:>8.1f}"
            print(f"{what:<20}{times}{peak:>9,.0f}{each:>13.2f}{cost.output_lines:>7,}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
