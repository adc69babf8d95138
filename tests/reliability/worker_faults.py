"""What can go wrong inside a worker, as data: Python for a real worker with the fake backend, sh for a quick one."""

from dataclasses import dataclass

from reliability.report import repeats

SHORT_SECONDS = 4.0
"""Time limit of a real worker that hangs; a quick one has a tenth."""

SOURCE = """
import atexit, ctypes, os, signal, subprocess, sys, time
from backends.contract import Availability
from backends.errors import OutOfMemory, Unavailable
from backends.fake import FakeBackend, FakeSession, Script

if "QUICK_WORKER" in os.environ:  # for a command line, which loads this in its parent
    import bench.process
    bench.process.WORKER = ("/bin/sh", os.environ["QUICK_WORKER"])

class Session(FakeSession):
    def __init__(self):
        super().__init__(Script(step_seconds=lambda step: 0.001))
    def step(self, batch):
        super().step(batch)
        if batch.step == 7:
            exec(os.environ.get("FAULT_IN_STEP", ""))

class Mine(FakeBackend):
    name = "mine"
    def environment(self, recipe, cache):
        if recipe.environment.get("FAULT_IN_PARENT"):
            exec(recipe.environment["FAULT_IN_PARENT"])
        return dict(recipe.environment)
    def open(self, workload, recipe, rank):
        exec(os.environ.get("FAULT_IN_OPEN", ""))
        return Session()

class Absent(FakeBackend):
    name = "absent"
    def probe(self):
        return Availability(available=False, device_type="fake", reason="no such chip", fix="rent one")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFault:
    """One fault and the record that must come of it."""

    name: str
    """As the table of docs/reliability.md says it."""
    status: str
    reason: str
    """Part of the record's reason."""
    python: str
    """What a real worker executes..."""
    where: str = "FAULT_IN_STEP"
    """...in its eighth step, while it opens, or in the parent that prepares it."""
    sh: str | None = None
    """What a quick worker executes; None: only a real one can do it."""
    hangs: bool = False
    backend: str = "mine"

    @property
    def repeats(self) -> int:
        """How often a real worker does it: what a quick one cannot do is repeated here."""
        return 1 if self.sh is not None else min(repeats(1), 25 if self.hangs else 100)


FAULTS = (
    WorkerFault(
        name="raises an exception",
        status="failed",
        reason="ValueError: a bug",
        python="raise ValueError('a bug')",
        sh="echo 'ValueError: a bug' >&2; exit 1",
    ),
    WorkerFault(
        name="raises an exception whose message goes on for pages",
        status="failed",
        reason="RuntimeError: no such operator on neuron: aten::roll",
        python="raise RuntimeError('no such operator on neuron: aten::roll' + '\\n' * 20_000)",
    ),
    WorkerFault(
        name="exits without a word",
        status="failed",
        reason="exit 7: no message",
        python="os._exit(7)",
        sh="exit 7",
    ),
    WorkerFault(
        name="crashes in native code",
        status="failed",
        reason="ended by SIGSEGV",
        python="os.kill(os.getpid(), signal.SIGSEGV)",
        sh="kill -SEGV $$",
    ),
    WorkerFault(
        name="is killed with SIGKILL, as by Linux when memory is short",
        status="failed",
        reason="killed (SIGKILL): the usual cause is that the host ran out of memory",
        python="os.kill(os.getpid(), signal.SIGKILL)",
        sh="kill -KILL $$",
    ),
    WorkerFault(
        name="is ended with SIGTERM",
        status="failed",
        reason="ended by SIGTERM",
        python="os.kill(os.getpid(), signal.SIGTERM)",
        sh="kill -TERM $$",
    ),
    WorkerFault(
        name="runs out of host memory",
        status="out-of-memory",
        reason="host memory exhausted; use a smaller micro_batch",
        python="bytes(2**62)",
    ),
    WorkerFault(
        name="runs out of device memory",
        status="out-of-memory",
        reason="device full; use a smaller micro_batch",
        python="raise OutOfMemory('device full', 'use a smaller micro_batch')",
    ),
    WorkerFault(
        name="hangs",
        status="timeout",
        reason="no result within",
        python="time.sleep(60017)",
        sh="sleep 60017",
        hangs=True,
    ),
    WorkerFault(
        name="hangs in native code that never gives the interpreter back",
        status="timeout",
        reason="no result within",
        python="ctypes.PyDLL(None).sleep(60017)",
        hangs=True,
    ),
    WorkerFault(
        name="closes its pipe and stays",
        status="timeout",
        reason="no result within",
        python="os.closerange(1, 100); time.sleep(60017)",
        where="FAULT_IN_OPEN",
        sh="exec >&-; sleep 60017",
        hangs=True,
    ),
    WorkerFault(
        name="writes garbage where events are expected",
        status="failed",
        reason="the worker's answer was not understood",
        python="[os.write(fd, b'\\xff{garbage\\n') for fd in range(3, 20) if os.path.exists(f'/proc/self/fd/{fd}')"
        " and 'pipe' in os.readlink(f'/proc/self/fd/{fd}')]",
        sh="echo '[[[garbage'; sleep 60017",
    ),
    WorkerFault(
        name="dies in the middle of its answer",
        status="failed",
        reason="the worker's answer was not understood",
        python='[os.write(fd, b\'{"kind": "result", "sta\') for fd in range(3, 20)'
        " if os.path.exists(f'/proc/self/fd/{fd}') and 'pipe' in os.readlink(f'/proc/self/fd/{fd}')]; os._exit(1)",
        sh='printf \'{"kind": "result", "sta\'; exit 1',
    ),
    WorkerFault(
        name="answers with numbers that contradict its work",
        status="failed",
        reason="not a possible run: measurement.warmup.0.tokens is 7",
        python="import bench.worker; bench.worker.Workload.tokens_per_step = property(lambda self: 7)",
        where="FAULT_IN_OPEN",
        sh='sed "s/\\"tokens\\":256/\\"tokens\\":7/" $ANSWER; exit',
    ),
    WorkerFault(
        name="crashes while a forked child of it holds its pipe",
        status="failed",
        reason="exit 7: no message",
        python="os.fork() == 0 and time.sleep(60017); os._exit(7)",
        sh="sleep 60017 & exit 7",
    ),
    WorkerFault(
        name="prints noise on standard output",
        status="ok",
        reason="",
        python="print('noise'); os.write(1, b'native \\xff noise')",
    ),
    WorkerFault(
        name="prints 64 MB on standard error",
        status="ok",
        reason="",
        python="[os.write(2, b'x' * 2**20) for _ in range(64)]",
        sh="head -c 64000000 /dev/zero >&2",
    ),
    WorkerFault(
        name="leaves a process behind that holds its pipes",
        status="ok",
        reason="",
        python="subprocess.Popen(['sleep', '60017'])",
        sh="sleep 60017 &",
    ),
    WorkerFault(
        name="crashes on its way out, its answer sent",
        status="ok",
        reason="",
        python="atexit.register(os.kill, os.getpid(), signal.SIGSEGV)",
        sh="cat $ANSWER; kill -SEGV $$",
    ),
    WorkerFault(
        name="hangs on its way out, its answer sent",
        status="ok",
        reason="",
        python="atexit.register(time.sleep, 60017)",
        sh="cat $ANSWER; sleep 60017",
    ),
    WorkerFault(
        name="sees the machine's clock jump by ten years",
        status="ok",
        reason="",
        python="time.time = lambda: 315_360_000.0",
    ),
    WorkerFault(
        name="loses its device while it opens",
        status="unavailable",
        reason="went away; see dmesg",
        python="raise Unavailable('went away', 'see dmesg')",
        where="FAULT_IN_OPEN",
    ),
    WorkerFault(
        name="cannot be started: the backend's own code fails",
        status="failed",
        reason="the worker did not start: ZeroDivisionError: division by zero",
        python="1 / 0",
        where="FAULT_IN_PARENT",
        sh="",
    ),
    WorkerFault(
        name="has no device here",
        status="unavailable",
        reason="no such chip; rent one",
        python="",
        sh="",
        backend="absent",
    ),
)
