"""`fairchip doctor --deep`: the smoke workload on every device here, every gate's evidence, and open questions."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

from backends.contract import Backend
from backends.registry import availabilities, availability, load_backend
from bench.comparing import price_choice
from bench.compile_caches import cache_folder
from bench.errors import UsageError
from bench.folders import RUNS_FOLDER
from bench.measuring import Wish, measure_and_compare
from bench.plan import Case
from bench.privacy import scrubbed
from bench.schedule import Campaign
from bench.suite import find_suite, make_case
from results.gates import evaluate
from results.record import RunRecord
from workloads.catalog import find_workload
from workloads.spec import Workload

QUESTIONS_SECONDS = 900.0
"""A question may compile, and a device that hangs answers none."""


def check_deeply() -> int:
    """Run, print, ask; the exit code is that of a strict run."""
    names = _to_be_checked()
    suite = find_suite("smoke")
    campaign = Campaign(
        suite="doctor",
        cases=[_case(find_workload(suite.workloads[0]), name) for name in names],
        plan=suite.plan,
        runs=1,
        cold_starts=1,
        folder=RUNS_FOLDER,
    )
    choice = price_choice(None, None, None, None)
    code = measure_and_compare(
        campaign, Wish(choice=choice, margin=0.02, strict=True, again=True, conclude=_print_gates)
    )
    for name in names:
        _print_answers(load_backend(name))
    return code


def _case(workload: Workload, name: str) -> Case:
    """On as many devices of one chip as can share the workload's batch."""
    found = availability(name)
    most = min(found.devices_per_chip, max(1, found.device_count))
    devices = next(count for count in range(most, 0, -1) if workload.global_batch % count == 0)
    return make_case(workload, name, devices=devices)


def _to_be_checked() -> list[str]:
    """Every backend on an accelerator that is available, else those on the CPU."""
    here = {name: found for name, found in availabilities().items() if found.available}
    chosen = [name for name, found in here.items() if found.device_type != "cpu"] or list(here)
    if not chosen:
        raise UsageError("no backend is available here", "see: fairchip doctor")
    return chosen


def _print_gates(records: Sequence[RunRecord]) -> None:
    for record in records:
        if record.place.role == "timed":
            print(f"Gates of {record.case.backend}: {record.status}{f', {record.reason}' if record.reason else ''}")
            for gate in evaluate(record):
                print(f"  {gate.id:<16}  {gate.outcome:<7}  {gate.evidence}")
            print()


def _print_answers(backend: Backend) -> None:
    """What the backend's module of questions finds, if it names one in ``questions``."""
    module = getattr(backend, "questions", None)
    if module is None:
        return
    print(f"\nOpen questions of {backend.name}, answered by this device")
    for line in _answers(backend, str(module)):
        print(f"  {scrubbed(line)}")


def _answers(backend: Backend, module: str) -> Iterator[str]:
    recipe = backend.recipes(find_workload("smoke"))["as-is"]
    with cache_folder() as cache:
        variables = backend.environment(recipe, cache)
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-m", module],
                env={**os.environ, **variables},
                capture_output=True,
                text=True,
                timeout=QUESTIONS_SECONDS,
            )
        except subprocess.TimeoutExpired as late:
            said = late.stdout or b""
            yield from (said.decode(errors="replace") if isinstance(said, bytes) else said).splitlines()
            yield f"no more answers within {QUESTIONS_SECONDS:.0f} s"
            return
    yield from (": ".join(line.split("\t", 1)) for line in done.stdout.splitlines())
    if done.returncode:
        yield f"ended early: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
