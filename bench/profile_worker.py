"""A session under its framework's profiler: the worker of `bench.step_profile`.

The job comes as for `bench.worker`, one JSON line on standard input, the number of steps as another. What is found
leaves as one JSON line on what was standard output.
"""

import json
import sys
import time
from typing import Any, cast

from backends.contract import Rank
from backends.registry import load_backend
from bench.entry import run_helper
from bench.measure import Stopwatch, quiet_process
from bench.turn_worker import products_of
from bench.worker import Job, claim_standard_output
from workloads.data import batch_source

WARM_UP_STEPS = 3


def main() -> None:
    """Answer the question on standard input."""
    answer = claim_standard_output()
    job, steps = Job.model_validate_json(sys.stdin.readline()), int(sys.stdin.readline())
    backend = load_backend(job.backend)
    with backend.open(job.workload, job.recipe, Rank()) as session, quiet_process():
        watch = Stopwatch(session, batch_source(job.workload), job.workload.tokens_per_step, time.perf_counter_ns)
        watch.window(WARM_UP_STEPS)
        alone = watch.window(steps).seconds / steps
        seen = cast(Any, backend).profile(lambda: watch.window(steps))
        products = products_of(session)
    found = [(one.kind, one.name, one.seconds / steps, one.calls / steps, one.flops / steps) for one in seen]
    print(json.dumps({"step_seconds": alone, "products": products, "operations": found}), file=answer, flush=True)


if __name__ == "__main__":
    sys.exit(run_helper(main))
