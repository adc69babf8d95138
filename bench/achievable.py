"""What the devices here reach in matrix products and copies alone: asked of a worker once a boot, then remembered."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from backends.registry import availabilities, availability, load_backend
from bench.compile_caches import cache_folder
from bench.errors import UsageError
from bench.identity import state_folder
from bench.plan import Case
from bench.privacy import scrubbed
from results.files import write_atomically
from results.record import Achievable, Environment
from workloads.catalog import find_workload
from workloads.precision import POLICIES

LIMIT_SECONDS = 900.0
"""A device that compiles every shape takes minutes."""
_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2}


class ProbeFailed(Exception):
    """Why a device told no rates."""


def remembered(case: Case, environment: Environment) -> Achievable | None:
    """What a probe of this boot and these packages found for the case's backend and operands; None without one."""
    found = _remembered().get(_key(case.backend, POLICIES[case.workload.precision].operands, environment))
    with contextlib.suppress(ValidationError):
        return None if found is None else Achievable.model_validate(found)
    return None


def probe(backend: str, dtype: str, environment: Environment) -> Achievable:
    """Measure and remember; blocks for some ten seconds, on a device that compiles for minutes.

    Raises:
        ProbeFailed: the backend is not available, has no such probe, or its worker failed.
    """
    found = availability(backend)
    if not found.available:
        raise ProbeFailed(f"{found.reason}; {found.fix}")
    if not hasattr(load_backend(backend), "rates"):
        raise ProbeFailed("this backend offers no products and copies alone")
    answer = _asked(backend, dtype)
    measured = Achievable.model_validate(
        {"dtype": dtype, "measured_at": datetime.now(UTC).isoformat(timespec="milliseconds")} | answer
    )
    _remember(_key(backend, dtype, environment), measured)
    return measured


def probe_missing(cases: Sequence[Case], environment: Environment) -> Iterator[tuple[str, Achievable | str]]:
    """Name and finding of each kind of device and operands among the cases that nothing is remembered of."""
    for backend, dtype in dict.fromkeys((case.backend, POLICIES[case.workload.precision].operands) for case in cases):
        if _key(backend, dtype, environment) not in _remembered() and hasattr(load_backend(backend), "rates"):
            yield from probes([backend], [dtype], environment)


def probes(backends: Sequence[str], dtypes: Sequence[str], environment: Environment) -> Iterator[tuple[str, Any]]:
    """Name and finding, or the reason why there is none, of each."""
    for backend in backends:
        for dtype in dtypes:
            try:
                yield f"{backend} {dtype}", probe(backend, dtype, environment)
            except ProbeFailed as failed:
                yield f"{backend} {dtype}", str(failed)


def available_backends(named: Sequence[str] | None) -> list[str]:
    """Those named, else all that are available.

    Raises:
        UsageError: none is.
    """
    names = list(named or (name for name, found in availabilities().items() if found.available))
    if not names:
        raise UsageError("no backend is available here", "see: fairchip doctor")
    return names


def _asked(backend: str, dtype: str) -> dict[str, Any]:
    loaded = load_backend(backend)
    recipe = loaded.recipes(find_workload("smoke"))["as-is"]
    question = json.dumps({"backend": backend, "dtype": dtype, "item_bytes": _BYTES[dtype]}) + "\n"
    try:
        with cache_folder() as cache:
            done = subprocess.run(
                [sys.executable, "-P", "-m", "bench.rate_worker"],
                env={**os.environ, **loaded.environment(recipe, cache)},
                input=question,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LIMIT_SECONDS,
            )
    except subprocess.TimeoutExpired:
        raise ProbeFailed(f"no answer within {LIMIT_SECONDS:.0f} s") from None
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise ProbeFailed(scrubbed(last[:500])) from None


def _key(backend: str, dtype: str, environment: Environment) -> str:
    """Another boot may be another clock, other packages other kernels."""
    return f"{backend} {dtype} {environment.boot_id} {environment.packages_sha256}"


def _remembered() -> dict[str, Any]:
    try:
        found = json.loads((state_folder() / "achievable.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return found if isinstance(found, dict) else {}


def _remember(key: str, measured: Achievable) -> None:
    """Of this boot alone, so that the file does not grow; where nothing can be kept, the next suite asks again."""
    boot = key.split()[2]
    kept = {name: value for name, value in _remembered().items() if boot in name}
    with contextlib.suppress(OSError, RuntimeError):
        folder = state_folder()
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "achievable.json", json.dumps({**kept, key: measured.model_dump()}))
