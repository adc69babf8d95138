"""A follower: the process of one more device of a job; it does what the leader's lines say.

The job comes first, as one line. Actions that return something are answered by a line, in order. The end of standard
input means that the job is over, or the leader gone. See `bench.ranks`.
"""

import json
import os
import sys
import traceback
from dataclasses import asdict, is_dataclass
from typing import Any, TextIO

from backends.contract import Rank, Session
from backends.registry import load_backend
from bench.measure import quiet_process
from bench.worker import Job, claim_standard_output, failure, volunteer_for_the_out_of_memory_killer
from workloads.data import BatchSource, batch_source


def main() -> None:
    """Follow until standard input ends. A failure is told first of all: closing may wait for ranks that wait for us."""
    answers = claim_standard_output()
    job = Job.model_validate_json(sys.stdin.readline())
    volunteer_for_the_out_of_memory_killer()
    try:
        with quiet_process():
            session = _opened(job)
            _obey(session, batch_source(job.workload), answers)
    except Exception as error:
        ended = failure(error)
        _say(answers, {"failed": ended.status, "reason": ended.reason})
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    session.__exit__(None, None, None)


def _opened(job: Job) -> Session:
    index = int(os.environ["RANK"])
    rank = Rank(index=index, world_size=job.processes, local_index=index, devices=job.devices)
    return load_backend(job.backend).open(job.workload, job.recipe, rank).__enter__()


def _obey(session: Session, batches: BatchSource, answers: TextIO) -> None:
    """Line by line, until one says to close, or there are no more."""
    for line in sys.stdin:
        action, step = json.loads(line)
        if action == "close":
            return
        if action == "step":
            session.step(batches(step))
        else:
            _say(answers, {"answer": _plain(getattr(session, action)())})


def _plain(value: Any) -> Any:
    """As JSON takes it."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _say(answers: TextIO, said: object) -> None:
    answers.write(json.dumps(said, default=dict) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
