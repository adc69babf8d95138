"""Several processes as one session: the leader measures, and its followers do each step with it.

The leader is the worker that the runner started. It starts a follower for every further device, with the variables
that `torchrun` sets (PyTorch documentation, "torchrun (Elastic Launch)"), tells each what to do line by line, and
waits for all of them wherever it waits for its own device. So one clock times one job, and what is proven idle is
every device of it.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import IO, Any, Literal, Self

from backends.contract import MemoryUse, Scalar, Session, StepLoss
from bench.exit_code import by_signal
from workloads.data import Batch

FOLLOWER = (sys.executable, "-P", "-m", "bench.follower")

CLOSE_SECONDS = 10.0
"""What followers may take to close their sessions and exit."""
CAUSE_SECONDS = 2.0
"""When a rank fails, the others' collectives fail too. How long the leader's own failure waits for the cause, which
ends the job as soon as it is told."""

Failed = Callable[[Literal["unavailable", "out-of-memory", "failed"], str], None]
"""Told the status and the reason when a follower cannot go on."""


def rank_variables(index: int, world_size: int, port: int) -> dict[str, str]:
    """What a process of the job finds in its environment; all of them run on one machine."""
    return {
        "RANK": str(index),
        "LOCAL_RANK": str(index),
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "fairchip",
    }


@contextlib.contextmanager
def followers(job_line: str, world_size: int, failed: Failed) -> Iterator[Sequence["Follower"]]:
    """Start a follower for every rank but our own, and put our own rank's variables in place.

    They end with the block, or when we do. ``failed`` is called from another thread.
    """
    port = free_port()
    os.environ.update(rank_variables(0, world_size, port))
    started: list[Follower] = []
    try:
        for index in range(1, world_size):
            started.append(Follower(index, job_line, rank_variables(index, world_size, port), failed))
        yield started
    except Exception:
        time.sleep(CAUSE_SECONDS)
        _end(started, 0.0)
        raise
    _end(started, CLOSE_SECONDS)


def _end(started: Sequence["Follower"], seconds: float) -> None:
    """Let all of them close at once; who takes longer is killed."""
    for follower in started:
        follower.hang_up()
    deadline = time.monotonic() + seconds
    for follower in started:
        follower.end(max(0.0, deadline - time.monotonic()))


def free_port() -> int:
    """A TCP port that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Follower:
    """A process of another rank, as the leader sees it."""

    def __init__(self, index: int, job_line: str, variables: Mapping[str, str], failed: Failed) -> None:
        self.index, self._failed, self._ending = index, failed, False
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self._process = subprocess.Popen(
            FOLLOWER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **variables},
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self._send(job_line)

    def tell(self, action: str, step: int | None = None) -> None:
        """Have it do something; returns at once. What is told to close may end."""
        self._ending = self._ending or action == "close"
        self._send(json.dumps([action, step]) + "\n")

    def answer(self) -> Any:
        """What it said to the oldest action that is answered; blocks until it does."""
        return self._answers.get()

    def hang_up(self) -> None:
        """There is nothing more to do; what it says from now on is not heard."""
        self._ending = True
        with contextlib.suppress(OSError):
            _pipe(self._process.stdin).close()

    def end(self, seconds: float) -> None:
        """Wait until it has exited, at most so long, then kill it."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, line: str) -> None:
        """One that is gone is told of by `_listen`."""
        stdin = _pipe(self._process.stdin)
        with contextlib.suppress(BrokenPipeError):
            stdin.write(line)
            stdin.flush()

    def _listen(self) -> None:
        for line in _pipe(self._process.stdout):
            self._hear(line)
        if not self._ending:
            self._failed("failed", f"rank {self.index} {_how_ended(self._process.wait())}")

    def _hear(self, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = {"failed": "failed", "reason": "its answer was not understood"}
        if "answer" in said:
            self._answers.put(said["answer"])
        elif not self._ending:
            self._failed(said["failed"], f"rank {self.index}: {said['reason']}")


class LeadingSession:
    """The leader's session and its followers' as one. See `backends.contract.Session`."""

    def __init__(self, session: Session, others: Sequence[Follower]) -> None:
        self._session, self._others = session, others

    def step(self, batch: Batch) -> None:
        """Every rank does its part of the step; returns without waiting for the others."""
        for other in self._others:
            other.tell("step", batch.step)
        self._session.step(batch)

    def sync(self) -> None:
        """Until every rank's device is done."""
        self._ask("sync", self._session.sync)

    def losses(self) -> Sequence[StepLoss]:
        """Mean over ranks, whose shares of the batch are equally large; the norm is one and the same."""
        own, *others = self._ask("losses", self._session.losses)
        rows = [own, *([StepLoss(**one) for one in other] for other in others)]
        return [_mean(of_step) for of_step in zip(*rows, strict=True)]

    def compiled_graphs(self) -> int | None:
        """Of all ranks together."""
        counts = self._ask("compiled_graphs", self._session.compiled_graphs)
        return None if None in counts else sum(counts)

    def memory(self) -> MemoryUse | None:
        """Of the device that needed most."""
        own, *others = self._ask("memory", self._session.memory)
        uses = [own, *(other and MemoryUse(**other) for other in others)]
        known = [use for use in uses if use is not None]
        return max(known, key=lambda use: use.peak_bytes, default=None)

    def describe(self) -> Mapping[str, Scalar]:
        """The leader's; of what a gate looks at, the worst that any rank says."""
        own, *others = self._ask("describe", self._session.describe)
        return {
            **own,
            **{name: worst([own.get(name), *(said.get(name) for said in others)]) for name, worst in WORST.items()},
        }

    def _ask(self, action: str, own: Callable[[], Any]) -> list[Any]:
        """The same of every rank, all at work at the same time; ours first."""
        for other in self._others:
            other.tell(action)
        return [own(), *(other.answer() for other in self._others)]

    def __enter__(self) -> Self:
        self._session.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes every rank's; after an error none, since closing may wait for a rank that is stuck."""
        if kind is None:
            for other in self._others:
                other.tell("close")
            self._session.__exit__(kind, error, trace)


def _first_said(values: Sequence[Scalar]) -> Scalar:
    return next((value for value in values if value), None)


def _least(values: Sequence[Scalar]) -> Scalar:
    known = [value for value in values if isinstance(value, int | float)]
    return min(known) if len(known) == len(values) else None


def _only_one(values: Sequence[Scalar]) -> Scalar:
    """What all say, else all that is said: no backend promises that."""
    return values[0] if len(set(values)) == 1 else " and ".join(sorted({str(value) for value in values}))


WORST: Mapping[str, Callable[[Sequence[Scalar]], Scalar]] = {
    "device_type": _only_one,
    "elsewhere": _first_said,
    "fallback": _first_said,
    "operand_fraction_bits": _least,
    "accumulation_exact": _least,
}
"""What a gate looks at, and what it is shown of all ranks'."""


def _how_ended(code: int) -> str:
    signalled = by_signal(code)
    return f"was {signalled}" if signalled else f"ended with exit {code}"


def _mean(of_step: Sequence[StepLoss]) -> StepLoss:
    first = of_step[0]
    return StepLoss(
        step=first.step, loss=sum(one.loss for one in of_step) / len(of_step), gradient_norm=first.gradient_norm
    )


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None, "a follower's standard input and output are pipes"
    return pipe
