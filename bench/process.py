"""Start a worker, follow its events, bound its time, and tell how it ended."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO

from pydantic import TypeAdapter, ValidationError

from backends.contract import Sampler
from bench.exit_code import by_signal
from bench.sampling import Watch
from bench.tail import Tail
from bench.worker import Event, Progress, Result
from results.record import DeviceSample, HostSample, Measurement, Status

WORKER = (sys.executable, "-P", "-m", "bench.worker")
LONGEST_EVENT_CHARACTERS = 2**26
"""A longer line on the worker's pipe is no event."""
EXIT_SECONDS = 30.0
"""What a worker may take to exit once its result has come; some drivers hang in their destructors."""
LAST_EVENTS_SECONDS = 1.0
"""How long the events of a worker that is gone may take to be read."""
SHUTDOWN_SECONDS = 1.0
"""A machine that shuts down stops everything at once: how long our own signal may come after the worker's."""

_EVENT: TypeAdapter[Progress | Result] = TypeAdapter(Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerEnd:
    """How a worker ended."""

    status: Status
    reason: str
    measurement: Measurement | None
    stderr_tail: str
    host_samples: tuple[HostSample, ...] = ()
    device_samples: tuple[DeviceSample, ...] = ()
    wall_seconds: float | None = None
    """From start to end; None where no worker was started."""


def run_worker(
    job_line: str,
    environment: Mapping[str, str],
    time_limit_seconds: float,
    on_progress: Callable[[Progress], None],
    samplers: Sequence[Sampler] = (),
) -> WorkerEnd:
    """Run one job in a fresh interpreter and wait for it.

    Never raises for what the worker does: a crash, a kill, a hang or garbage on its pipe is an end with a
    status and a reason. Interrupting this call kills the worker and all that it started.
    """
    began = time.monotonic()
    worker = subprocess.Popen(
        WORKER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    limit, heirs = _TimeLimit(worker, time_limit_seconds), _Heirs(worker)
    stderr = Tail(_pipe(worker.stderr))
    try:
        with Watch(worker.pid, samplers) as watch:

            def note(progress: Progress) -> None:
                watch.look()
                on_progress(progress)

            result = _follow(worker, job_line, note)
            _wait(worker, result)
    finally:
        limit.cancel()
        heirs.cancel()
        _kill(worker)
        _close(worker)
    return replace(
        _end(worker, result, limit, stderr.text()),
        host_samples=watch.host_samples,
        device_samples=watch.device_samples,
        wall_seconds=time.monotonic() - began,
    )


class _TimeLimit:
    """Kills the worker when its time is over, and remembers that it did."""

    def __init__(self, worker: "subprocess.Popen[str]", seconds: float) -> None:
        self.seconds, self.passed, self._worker = seconds, False, worker
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True
        self._timer.start()

    def _pass(self) -> None:
        self.passed = True
        _kill(self._worker)

    def cancel(self) -> None:
        self._timer.cancel()


class _Heirs:
    """Ends what a worker that is gone has left: a forked child holds its pipe, which would never end."""

    def __init__(self, worker: "subprocess.Popen[str]") -> None:
        self._worker, self._cancelled = worker, threading.Event()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        self._worker.wait()
        if not self._cancelled.wait(LAST_EVENTS_SECONDS):
            _kill(self._worker)

    def cancel(self) -> None:
        self._cancelled.set()


def _follow(worker: "subprocess.Popen[str]", job_line: str, on_progress: Callable[[Progress], None]) -> Result | None:
    """Send the job, pass progress on, return the result if one came. Standard input stays open meanwhile."""
    _send(worker, job_line)
    for line in _lines(_pipe(worker.stdout)):
        try:
            event = _EVENT.validate_json(line)
        except ValidationError:
            _kill(worker)
            return Result(status="failed", reason="the worker's answer was not understood")
        if isinstance(event, Result):
            return event
        on_progress(event)
    return None


def _send(worker: "subprocess.Popen[str]", job_line: str) -> None:
    """A worker that is gone already is told by its exit code."""
    stdin = _pipe(worker.stdin)
    with contextlib.suppress(BrokenPipeError):
        stdin.write(job_line)
        stdin.flush()


def _lines(pipe: IO[str]) -> Iterator[str]:
    """Lines of a pipe, none held in memory beyond the longest that can be an event."""
    return iter(lambda: pipe.readline(LONGEST_EVENT_CHARACTERS), "")


def _wait(worker: "subprocess.Popen[str]", result: Result | None) -> None:
    """Until the worker has exited; one that has sent its result is not waited for long."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(EXIT_SECONDS if result else None)
    if worker.returncode in (-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP):
        time.sleep(SHUTDOWN_SECONDS)


def _end(
    worker: "subprocess.Popen[str]",
    result: Result | None,
    limit: _TimeLimit,
    stderr_tail: str,
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
    return WorkerEnd(status=status, reason=reason, measurement=measurement, stderr_tail=stderr_tail)


def _why_ended(code: int, stderr_tail: str) -> str:
    lines = [line for line in stderr_tail.splitlines() if line.strip()]
    return by_signal(code) or f"exit {code}: {lines[-1].strip()[:500] if lines else 'no message'}"


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None, "every standard stream of a worker is a pipe"
    return pipe


def _kill(worker: "subprocess.Popen[str]") -> None:
    """End the worker and whatever it started (compilers)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _close(worker: "subprocess.Popen[str]") -> None:
    """Our ends of the pipes that only we read and write; standard error is the tail's."""
    for pipe in (worker.stdin, worker.stdout):
        with contextlib.suppress(OSError):
            _pipe(pipe).close()
