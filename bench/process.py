"""Start a worker, follow its events, bound its time, and tell how it ended."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from pydantic import TypeAdapter, ValidationError

from bench.host_sampler import HostSampler
from bench.worker import Event, Progress, Result
from results.record import HostSample, Measurement, Status

STDERR_TAIL_CHARACTERS = 4000

_EVENT: TypeAdapter[Progress | Result] = TypeAdapter(Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnd:
    """How a worker ended."""

    status: Status
    reason: str
    measurement: Measurement | None
    stderr_tail: str
    host_samples: tuple[HostSample, ...]


def run_worker(
    job_line: str,
    environment: Mapping[str, str],
    time_limit_seconds: float,
    on_progress: Callable[[Progress], None],
) -> WorkerEnd:
    """Run one job in a fresh interpreter and wait for it.

    Never raises for what the worker does: a crash, a kill, a hang or garbage on its pipe is an end with a
    status and a reason. Interrupting this call kills the worker.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
        worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, **environment},
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        limit = _TimeLimit(worker, time_limit_seconds)
        try:
            with HostSampler(worker.pid) as sampler:
                result = _follow(worker, job_line, on_progress)
                worker.wait()
        finally:
            limit.cancel()
            _kill(worker)
        return _end(worker, result, limit, _tail(stderr), sampler.samples)


class _TimeLimit:
    """Kills the worker when its time is over, and remembers that it did."""

    def __init__(self, worker: "subprocess.Popen[str]", seconds: float) -> None:
        self.seconds, self.passed, self._worker = seconds, False, worker
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.start()

    def _pass(self) -> None:
        self.passed = True
        _kill(self._worker)

    def cancel(self) -> None:
        self._timer.cancel()


def _follow(worker: "subprocess.Popen[str]", job_line: str, on_progress: Callable[[Progress], None]) -> Result | None:
    """Send the job, pass progress on, return the result if one came. Standard input stays open meanwhile."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    result = None
    try:
        worker.stdin.write(job_line)
        worker.stdin.flush()
        for line in worker.stdout:
            event = _EVENT.validate_json(line)
            if isinstance(event, Result):
                result = event
            else:
                on_progress(event)
    except BrokenPipeError:
        _kill(worker)
    except ValidationError:
        _kill(worker)
        return Result(status="failed", reason="the worker's answer was not understood")
    return result


def _end(
    worker: "subprocess.Popen[str]",
    result: Result | None,
    limit: _TimeLimit,
    stderr_tail: str,
    samples: tuple[HostSample, ...],
) -> WorkerEnd:
    status: Status
    if result is not None:
        status, reason, measurement = result.status, result.reason, result.measurement
    elif limit.passed:
        status, reason, measurement = "timeout", f"no result within {limit.seconds:.0f} s", None
    else:
        status, reason, measurement = "failed", _why_ended(worker.returncode, stderr_tail), None
    if status == "ok":
        stderr_tail = ""
    return WorkerEnd(
        status=status, reason=reason, measurement=measurement, stderr_tail=stderr_tail, host_samples=samples
    )


def _why_ended(code: int, stderr_tail: str) -> str:
    if code == -signal.SIGKILL:
        return "killed (SIGKILL): the usual cause is that the host ran out of memory"
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    lines = [line for line in stderr_tail.splitlines() if line.strip()]
    return f"exit {code}: {lines[-1].strip()[:500] if lines else 'no message'}"


def _tail(stderr: IO[str]) -> str:
    stderr.seek(0)
    return stderr.read()[-STDERR_TAIL_CHARACTERS:]


def _kill(worker: "subprocess.Popen[str]") -> None:
    """End the worker and whatever it started (compilers)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
