"""The worker: one run in a fresh process.

Protocol: the job comes as one JSON line on standard input, which then stays open: its end means that the
parent is gone, and so must we be. Events leave as JSON lines on what was standard output; whatever a
library prints there goes to standard error instead.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO

from pydantic import BaseModel, ConfigDict, Field

from backends.contract import Rank, Session
from backends.errors import BackendError, OutOfMemory, Unavailable
from backends.recipe import Recipe
from backends.registry import load_backend
from bench.errors import one_line
from bench.measure import measure
from bench.plan import Case, MeasurePlan
from bench.ranks import LeadingSession, followers
from bench.wall_clock import WallClock
from results.record import Measurement, StartUp
from workloads.data import batch_source
from workloads.errors import WorkloadError
from workloads.spec import Workload


class Job(BaseModel):
    """What the parent asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    workload: Workload
    backend: str
    recipe: Recipe
    cache: Literal["cold", "warm"]
    plan: MeasurePlan
    clock: WallClock
    processes: int = 1
    """One for each device, or one for all: then it drives `devices`."""
    devices: int = 1


class Progress(BaseModel):
    """What the run is doing."""

    kind: Literal["progress"] = "progress"
    phase: str
    done: int
    of: int


class Result(BaseModel):
    """How the run ended; the last event."""

    kind: Literal["result"] = "result"
    status: Literal["ok", "failed", "out-of-memory", "unavailable"]
    reason: str = ""
    measurement: Measurement | None = None


Event = Annotated[Progress | Result, Field(discriminator="kind")]


def job_line(case: Case, cache: Literal["cold", "warm"], plan: MeasurePlan) -> str:
    """The job as the one line that the worker reads."""
    processes, devices = (case.world_size, 1) if case.process_per_device else (1, case.world_size)
    job = {
        "workload": asdict(case.workload),
        "backend": case.backend,
        "recipe": asdict(case.recipe),
        "cache": cache,
        "plan": asdict(plan),
        "clock": asdict(WallClock.now()),
        "processes": processes,
        "devices": devices,
    }
    return json.dumps(job) + "\n"


def main() -> None:
    """Run the job on standard input; exits 0 whenever a result was sent, whatever it says."""
    started = time.perf_counter()
    events = claim_standard_output()
    job = Job.model_validate_json(sys.stdin.readline())
    volunteer_for_the_out_of_memory_killer()
    _die_with_parent()
    run(job, started, events)


def run(job: Job, started: float, events: TextIO) -> None:
    """Send the job's result, before anything is closed that may hang; a failure is a result too."""
    try:
        _measure(job, started, events)
    except Exception as error:
        if not isinstance(error, BackendError | WorkloadError | MemoryError):
            traceback.print_exc()
        _send(events, failure(error))


def failure(error: Exception) -> Result:
    """How a run ends with this error. Frameworks say first what went wrong, and after it a page of what they know."""
    if isinstance(error, MemoryError):
        return Result(status="out-of-memory", reason="host memory exhausted; use a smaller micro_batch")
    if not isinstance(error, BackendError | WorkloadError):
        return Result(status="failed", reason=one_line(f"{type(error).__name__}: {error}"))
    status: Literal["unavailable", "out-of-memory", "failed"] = "failed"
    if isinstance(error, Unavailable):
        status = "unavailable"
    elif isinstance(error, OutOfMemory):
        status = "out-of-memory"
    return Result(status=status, reason=f"{error.message}; {error.hint}")


def _measure(job: Job, started: float, events: TextIO) -> None:
    batches = batch_source(job.workload)
    _send(events, Progress(phase="opening", done=0, of=0))
    importing = time.perf_counter()
    with _opened(job, events) as session:
        opened = time.perf_counter()
        start_up = StartUp(
            cache=job.cache,
            import_seconds=importing - started,
            open_seconds=opened - importing,
            first_step_seconds=0.0,
        )
        measured = measure(
            session,
            batches,
            job.workload.tokens_per_step,
            job.plan,
            start_up,
            report=lambda phase, done, of: _send(events, Progress(phase=phase, done=done, of=of)),
            wall_clock=job.clock,
        )
        _send(events, Result(status="ok", measurement=measured))


@contextlib.contextmanager
def _opened(job: Job, events: TextIO) -> Iterator[Session]:
    """The session of all ranks; a follower that fails ends the job, since the others may wait for it for ever."""
    backend = load_backend(job.backend)
    if job.processes == 1:
        with backend.open(job.workload, job.recipe, Rank(devices=job.devices)) as session:
            yield session
        return

    def end(status: Literal["unavailable", "out-of-memory", "failed"], reason: str) -> None:
        _send(events, Result(status=status, reason=reason))
        os._exit(0)

    with followers(job.model_dump_json() + "\n", job.processes, end) as others:
        own = backend.open(job.workload, job.recipe, Rank(world_size=job.processes))
        with LeadingSession(own, others) as session:
            yield session


def claim_standard_output() -> TextIO:
    """Keep the pipe to the parent for events; send everything else printed there to standard error."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def _die_with_parent() -> None:
    """A watcher in our process group ends the group, compilers included, when standard input ends.

    A thread of ours could not: native code that hangs may hold the interpreter's lock for ever.
    """
    if os.getpgrp() == os.getpid():
        subprocess.Popen(["sh", "-c", "cat >/dev/null; kill -KILL 0"], stdin=0, stdout=subprocess.DEVNULL)


def volunteer_for_the_out_of_memory_killer() -> None:
    """So that Linux ends this run, not the parent that records why."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _send(events: TextIO, event: Any) -> None:
    events.write(event.model_dump_json() + "\n")
    events.flush()


if __name__ == "__main__":
    main()
