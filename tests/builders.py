"""Makes valid run records for tests of results: plausible by default, any part replaced."""

import hashlib
import json
from typing import Any

from results.gates import evaluate
from results.record import RunRecord

WINDOWS = 8
STEPS = 1 + 4 + 3 * 4 + 4 * WINDOWS
"""First step, one warm-up window, one self-check, the windows."""

REFERENCE = {
    "losses": [5.5 * 0.98**step for step in range(20)],
    "relative_tolerance": 1e-5,
    "derivation": "test",
}


def make_record(
    *,
    backend: str = "torch-cpu",
    tokens_per_second: float = 1000.0,
    suite_id: str = "a" * 32,
    round_: int = 0,
    host_id: str = "b" * 32,
    losses: list[float | None] | None = None,
    reference: bool = True,
    with_gates: bool = True,
    **replace: Any,
) -> RunRecord:
    """A record whose windows all have the given throughput; ``replace`` takes dotted names, ``__`` for the dot."""
    content = _plausible(backend, tokens_per_second, suite_id, round_, host_id, losses, reference)
    for dotted, value in replace.items():
        *parents, last = dotted.split("__")
        owner = content
        for parent in parents:
            owner = owner[parent]
        owner[last] = value
    case = content["case"]
    canonical = json.dumps(case["specification"], sort_keys=True, separators=(",", ":"))
    case["digest"] = hashlib.sha256(canonical.encode()).hexdigest()
    record = RunRecord.model_validate(content, strict=False)
    return record.model_copy(update={"gates": evaluate(record)}) if with_gates else record


def _plausible(
    backend: str,
    tokens_per_second: float,
    suite_id: str,
    round_: int,
    host_id: str,
    losses: list[float | None] | None,
    reference: bool,
) -> dict[str, Any]:
    own = losses if losses is not None else [5.5 * 0.98**step for step in range(STEPS)]
    seconds = 4 * 256 / tokens_per_second
    begin = max(10.0, seconds)
    window = {"seconds": seconds, "steps": 4, "tokens": 1024, "batch_wait_seconds": 0.0}
    run_id = hashlib.sha256(f"{backend}/{suite_id}/{round_}/{tokens_per_second}".encode()).hexdigest()[:32]
    return {
        "schema_version": 1,
        "run_id": run_id,
        "created_at": f"2026-11-22T10:{round_ % 60:02d}:00.000+00:00",
        "provenance": "measured",
        "status": "ok",
        "reason": "",
        "place": {
            "suite": "cpu",
            "suite_id": suite_id,
            "role": "timed",
            "round": round_,
            "order": 0,
            "case_index": 0,
            "runs_planned": 5,
        },
        "case": {
            "workload": "smoke",
            "specification": {"model": {"dim": 64}, "precision": "fp32"},
            "backend": backend,
            "device_type": "cpu",
            "recipe": {"name": "as-is"},
            "world_size": 1,
            "tokens_per_step": 256,
            "parameters": 131392,
            "flops_per_token": {"6N": 788352, "no-embedding, causal attention": 737280},
            "precision": "fp32",
            "peak_dtype": "fp32",
            "operand_fraction_bits": 23,
            "expected_first_loss": 5.56,
        },
        "plan": {
            "windows": WINDOWS,
            "window_seconds": 1.0,
            "minimum_steps_per_window": 1,
            "warmup_minimum_steps": 20,
            "warmup_maximum_seconds": 60.0,
            "steady_fraction": 0.1,
            "time_limit_seconds": 600.0,
        },
        "reference": dict(REFERENCE) if reference else None,
        "measurement": {
            "origin_unix_seconds": 1000.0,
            "start_up": {"cache": "warm", "import_seconds": 1.0, "open_seconds": 1.0, "first_step_seconds": 2.0},
            "warmup": [window | {"start_seconds": 0.0}],
            "warmup_steady": True,
            "self_checks": [{"steps": 4, "once_seconds": seconds, "twice_seconds": 2 * seconds, "idle_seconds": 0.0}],
            "steps_per_window": 4,
            "windows": [window | {"start_seconds": begin + i * seconds} for i in range(WINDOWS)],
            "steps": [{"step": i, "loss": loss, "gradient_norm": 1.0} for i, loss in enumerate(own)],
            "compiled_graphs_before": 1,
            "compiled_graphs_after": 1,
            "memory": {"peak_bytes": 10**9, "source": "test"},
            "session": {
                "device_type": "cpu",
                "device_name": "cpu",
                "fallback": None,
                "operand_fraction_bits": 23,
                "accumulation_exact": True,
            },
        },
        "host_samples": [
            {"unix_seconds": 1010.0 + i, "other_cpus": 0.0, "stolen_cpus": 0.0, "cpu_mhz": 2000.0} for i in range(3)
        ],
        "environment": {
            "host_id": host_id,
            "boot_id": "d" * 32,
            "operating_system": "test",
            "kernel": "test",
            "python": "3.11",
            "cpu_model": "test",
            "logical_cpus": 2,
            "physical_cpus": 2,
            "memory_bytes": 2**34,
            "accelerator_driver": None,
            "instance": {"provider": None, "name": None, "source": "test"},
            "packages": {"torch": "2.13.0"},
            "packages_sha256": "e" * 64,
            "source_commit": None,
            "source_modified": None,
            "source_sha256": "f" * 64,
            "variables": {},
        },
        "stderr_tail": "",
        "gates": [],
    }
