"""Float64: torch-xla's session walks the trajectory of torch's, whatever the recipe; on two devices too."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from parity_workload import deviation, run_steps, small_workload
from xla_cpu import require_torch_xla

require_torch_xla()

from backends.contract import Rank, StepLoss  # noqa: E402
from backends.engine_torch import TorchSession  # noqa: E402
from backends.errors import BackendError  # noqa: E402
from backends.neuron.xla_session import XlaSession  # noqa: E402
from backends.recipe import Recipe, resolve, shipped_recipe  # noqa: E402
from workloads.data import batch_source  # noqa: E402

STEPS = 5
LIMIT = 1e-10
SHIPPED = shipped_recipe("torch-xla-neuron")


def walked(recipe: Recipe) -> list[StepLoss]:
    """The first steps, and no operation of them on the host."""
    workload = small_workload()
    batches = batch_source(workload)
    with XlaSession(workload, resolve(recipe, workload), "CPU", Rank()) as session:
        for step in range(STEPS):
            session.step(batches(step))
        losses = list(session.losses())
        assert session.describe()["fallback"] is None
    return losses


@pytest.fixture(scope="module")
def true() -> list[StepLoss]:
    return run_steps(TorchSession, small_workload(), Recipe(compile="off"), STEPS)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"micro_batch": 1},
        {"rematerialise": True, "attention": "sdpa", "loss": "cross-entropy"},
        {"compile": "off", "loss_part_tokens": 10, "attention": "sdpa-contiguous"},
    ],
)
def test_every_recipe_is_the_same_mathematics(change: dict, true: list[StepLoss]) -> None:
    assert deviation(walked(replace(SHIPPED, **change)), true) <= LIMIT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"compile": "parts"}, "no compile = 'parts'"),
        ({"loss_part_tokens": 10}, "cuts the model"),
        ({"rematerialise": "between-products"}, "keep what products multiply"),
        ({"sharding": "all"}, "shares out no parameters"),
        ({"loss": "logsumexp"}, "gives zeros"),
        ({"loss": "closed-form"}, "gives zeros"),
    ],
)
def test_what_it_cannot_do_is_refused_in_a_line(change: dict, said: str) -> None:
    workload = small_workload()
    with pytest.raises(BackendError, match=said):
        XlaSession(workload, resolve(replace(SHIPPED, **change), workload), "CPU", Rank())


TWO_DEVICES = '''
import json, sys, threading
from dataclasses import asdict, replace
import torch_xla, torch_xla.debug.metrics as metrics, torch_xla.runtime as xr
from parity_workload import small_workload
from backends.contract import Rank
from backends.neuron.xla_device import XlaDevice
from backends.neuron.xla_session import XlaSession
from backends.recipe import resolve, shipped_recipe
from workloads.data import batch_source

both, printing = threading.Barrier(2), threading.Lock()
first_is_through = threading.Event()

def graphs_found():
    return (metrics.counter_value("CachedCompile") or 0) + (metrics.metric_data("CompileTime") or (0,))[0]

def sync_in_turn(*arguments, **settings):
    """What torch_xla.sync does, in an order in which the two threads cannot lock each other out.

    The second finds the first one's graph compiled: two compilations of one number their collectives apart. Both have
    launched it before either drops its token, which waits for the collectives and holds the interpreter's lock.
    """
    both.wait()
    first_is_through.clear()
    before = graphs_found()
    both.wait()
    if xr.global_ordinal() == 1:
        while not first_is_through.wait(0.05) and graphs_found() == before:
            pass
        first_is_through.wait(0.05)
    device = str(torch_xla.device())
    torch_xla._XLAC._xla_step_marker(device, [], wait=False, reset_scope=True)
    first_is_through.set()
    both.wait()
    torch_xla._XLAC._set_all_reduce_token(device, None)

torch_xla.sync = sync_in_turn

class Joined(XlaDevice):
    def join(self, rank):
        """torch_xla.launch has joined the two devices of this process, one a thread."""

def walk(index, sharding):
    workload, rank = small_workload(), Rank(index=xr.global_ordinal(), world_size=2)
    recipe = replace(shipped_recipe("torch-xla-neuron"), sharding=sharding, micro_batch=1)
    batches, session = batch_source(workload), XlaSession(workload, resolve(recipe, workload, 2), Joined("CPU"), rank)
    for step in range(5):
        session.step(batches(step))
    steps, optimizer = [asdict(one) for one in session.losses()], session.describe()["optimizer"]
    with printing:
        print(json.dumps({"rank": rank.index, "steps": steps, "optimizer": optimizer}), flush=True)

if __name__ == "__main__":
    torch_xla.launch(walk, args=(sys.argv[1],))
'''


@pytest.mark.parametrize("sharding", ["none", "optimizer"])
def test_two_devices_walk_the_trajectory_of_one(sharding: str, true: list[StepLoss], tmp_path: Path) -> None:
    """Two CPU devices of one process: several processes cannot be joined without the hardware."""
    program = tmp_path / "two.py"
    program.write_text(f"import sys; sys.path[:0] = {sys.path!r}\n" + TWO_DEVICES)
    done = subprocess.run(
        [sys.executable, program, sharding],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "CPU_NUM_DEVICES": "2"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ranks = sorted(map(json.loads, done.stdout.splitlines()), key=lambda rank: rank["rank"])
    first, second = ([StepLoss(**step) for step in rank["steps"]] for rank in ranks)
    assert [one.gradient_norm for one in first] == [one.gradient_norm for one in second]
    mean = [replace(one, loss=(one.loss + other.loss) / 2) for one, other in zip(first, second, strict=True)]
    assert deviation(mean, true) <= LIMIT
    assert ("ZeroRedundancyOptimizer" in ranks[0]["optimizer"]) == (sharding == "optimizer")
