"""Reads the files named on standard input, one a line, and says as JSON what became of each and how long it took.

A program of its own, started by test_worst_inputs.py with limited memory.
"""

import json
import sys
import time
from pathlib import Path

from backends.recipe import Recipe, custom_recipe, resolve
from bench.describe import record_case
from bench.plan import Case
from results.gates import evaluate
from results.price_book import load_price_book
from results.record_file import read_record
from workloads.hf_config import model_from_hf_config
from workloads.parse import workload_from_toml


def read_workload(path: Path) -> None:
    found = workload_from_toml(path)
    record_case(Case(workload=found, backend="x", device_type="x", recipe=resolve(Recipe(), found)))


def judge_record(path: Path) -> None:
    evaluate(read_record(path))


READERS = {
    ".toml": read_workload,
    ".recipe": custom_recipe,
    ".json": model_from_hf_config,
    ".csv": load_price_book,
    ".record": judge_record,
}


def main() -> None:
    for line in sys.stdin:
        path, began = Path(line.rstrip("\n")), time.perf_counter()
        try:
            READERS[path.suffix](path)
            said = "accepted"
        except Exception as error:  # what is not ours has no message, and fails the test
            said = getattr(error, "message", f"{type(error).__name__}: {error}")
        print(json.dumps([path.name, said[:4000], time.perf_counter() - began]), flush=True)


if __name__ == "__main__":
    main()
