"""One live session that times windows when it is told to: the worker of `bench.turns`.

The job comes as for `bench.worker`, one JSON line on standard input. After it each line is a number of steps to time,
answered by a JSON line on what was standard output; the first answer is of one step after the warm-up.

The step before each window is not timed: while others have their turns the memory that a session gave back cools down,
and a virtual machine may even lose it to its host, so that the first step pays for what a run's never does.
"""

import json
import sys
import time
from itertools import chain

from backends.contract import Rank, Session
from backends.registry import load_backend
from bench.entry import run_helper
from bench.measure import Stopwatch, quiet_process
from bench.worker import Job, claim_standard_output
from workloads.data import batch_source

WARM_UP_STEPS, LEAD_IN_STEPS = 2, 1


def main() -> None:
    """Answer until nobody asks."""
    answer = claim_standard_output()
    job = Job.model_validate_json(sys.stdin.readline())
    with load_backend(job.backend).open(job.workload, job.recipe, Rank()) as session:
        watch = Stopwatch(session, batch_source(job.workload), job.workload.tokens_per_step, time.perf_counter_ns)
        watch.window(WARM_UP_STEPS)
        products = products_of(session)
        with quiet_process():
            for steps in chain([1], map(int, sys.stdin)):
                watch.window(LEAD_IN_STEPS)
                window, memory = watch.window(steps), session.memory()
                told = {
                    "step_seconds": window.seconds / window.steps,
                    "peak_bytes": memory.peak_bytes if memory else None,
                    "step": watch.steps[-1].step,
                    "loss": watch.steps[-1].loss,
                    "products": products,
                }
                print(json.dumps(told), file=answer, flush=True)


def products_of(session: Session) -> str:
    """By what it multiplies, type and kernel, as far as it says."""
    facts = session.describe()
    return " ".join(str(facts[name]) for name in ("operand_dtype", "product_kernel") if name in facts)


if __name__ == "__main__":
    sys.exit(run_helper(main))
