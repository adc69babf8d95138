"""Each trap of torch-xla: that it is there, and that the session does not fall into it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from xla_cpu import XlaOnCpu, require_torch_xla

require_torch_xla()

import torch  # noqa: E402
import torch_xla  # noqa: E402
import torch_xla.core.xla_model as xm  # noqa: E402
import torch_xla.debug.metrics as metrics  # noqa: E402
import torch_xla.runtime as xr  # noqa: E402

from backends.contract import Rank  # noqa: E402
from backends.errors import OutOfMemory, Unavailable  # noqa: E402
from backends.neuron.xla_backend import TorchXlaNeuron  # noqa: E402
from backends.neuron.xla_device import XlaDevice  # noqa: E402
from backends.neuron.xla_optimizer import AdamW  # noqa: E402
from backends.neuron.xla_session import XlaSession  # noqa: E402
from backends.recipe import resolve  # noqa: E402
from workloads.catalog import find_workload  # noqa: E402
from workloads.data import BatchSource, batch_source  # noqa: E402
from workloads.models.llama_torch import LOSSES, Numerics, Tail  # noqa: E402

SMOKE = replace(find_workload("smoke"), sequence_length=32, global_batch=4)
BATCHES: BatchSource = batch_source(SMOKE)


def opened(**change: object) -> XlaSession:
    recipe = resolve(replace(XlaOnCpu().as_is(), **change), SMOKE)
    return XlaSession(SMOKE, recipe, "CPU", Rank())


@pytest.fixture(scope="module")
def session() -> Iterator[XlaSession]:
    """Warm, in two micro-batches, all losses read."""
    with opened(micro_batch=2) as session:
        for step in range(3):
            session.step(BATCHES(step))
        session.losses()
        yield session


def executions() -> int:
    return (metrics.metric_data("ExecuteTime") or (0,))[0]


# The hardware


def test_the_cpu_never_poses_as_neuron() -> None:
    with pytest.raises(Unavailable, match="runs on CPU, not on NEURON"):
        TorchXlaNeuron().open(SMOKE, resolve(XlaOnCpu().as_is(), SMOKE), Rank())


def test_torch_xla_itself_would_have_run_on_the_cpu() -> None:
    """Without the variable it takes the CPU with a warning, and `device_type` of its runtime echoes any variable."""
    code = "import torch_xla, torch_xla.core.xla_model as xm; print(xm.xla_device_hw(torch_xla.device()))"
    environment = {name: value for name, value in os.environ.items() if name != "PJRT_DEVICE"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert done.stdout.strip() == "CPU"
    assert "Defaulting to PJRT_DEVICE=CPU" in done.stderr


def test_neuron_without_its_plug_in_is_unavailable() -> None:
    """In a process of its own: a second attempt would end it."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "from backends.contract import Rank\nfrom backends.errors import Unavailable\n"
        "from backends.neuron.xla_device import XlaDevice\n"
        "try: XlaDevice('NEURON').take(Rank())\n"
        "except Unavailable as error: print(error.message)\n"
    )
    environment = {**os.environ, "PJRT_DEVICE": "NEURON"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=environment)
    assert "finds no NEURON device" in done.stdout, done.stderr[-1000:]


# Several processes


def test_processes_that_do_not_see_each_other_are_refused() -> None:
    with pytest.raises(Unavailable, match="sees 1 devices in a job of 2 processes"):
        XlaDevice("CPU").take(Rank(world_size=2))


def test_collectives_that_are_the_identity_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The count of devices may be right and the sum still be nobody's."""
    monkeypatch.setattr(XlaDevice, "join", lambda self, rank: None)
    ones = torch.ones((), device=torch_xla.device())
    assert float(xm.all_reduce("sum", ones).cpu()) == 1.0, "the trap: no error"
    for count in (1, 2):
        monkeypatch.setattr(xr, "world_size", lambda count=count: count)
        monkeypatch.setattr("backends.neuron.xla_device.all_reduced", torch.clone)
        with pytest.raises(Unavailable, match="a sum over 2 processes gave 1"):
            XlaDevice("CPU").take(Rank(world_size=2))


# Waiting


def heavy() -> torch.Tensor:
    """Recorded work of some tenths of a second, not yet launched."""
    value = matrix = torch.full((1024, 1024), 1e-3, device=torch_xla.device())
    for _ in range(12):
        value = value @ matrix
    return value.sum()


def seconds_after(wait: Callable[[], None]) -> tuple[float, float]:
    """Of waiting, and of reading the result afterwards."""
    result = heavy()
    start = time.perf_counter()
    wait()
    waited = time.perf_counter()
    result.cpu()
    return waited - start, time.perf_counter() - waited


def test_the_barrier_waits_where_sync_alone_returns_early() -> None:
    device = XlaDevice("CPU")
    device.take(Rank())
    seconds_after(device.synchronize)  # compiles
    waited, read = seconds_after(torch_xla.sync)
    assert read > waited, "the trap"
    waited, read = seconds_after(device.synchronize)
    assert read < 0.2 * waited


# Dead code


def test_work_that_nobody_holds_is_never_done() -> None:
    """The trap: a loss that is dropped before the cut costs nothing."""
    XlaDevice("CPU").synchronize()
    before = executions()
    heavy()
    torch_xla.sync()
    xm.wait_device_ops()
    assert executions() == before


def test_a_step_is_launched_whole_though_nobody_asks_for_its_loss(session: XlaSession) -> None:
    """Loss and norm are values of the device when `step` returns, not something that may still be pruned."""
    before = executions()
    for step in range(3, 6):
        session.step(BATCHES(step))
        _, *held = session._pending[-1]
        for value in held:
            assert "device_data" in torch_xla._XLAC._get_xla_tensors_text([value]).splitlines()[1]
            assert len(torch_xla._XLAC._get_xla_tensors_text([value]).splitlines()) <= 4
    session.sync()
    assert executions() - before == 3 * 2, "one launch a micro-batch"
    assert len(session.losses()) == 3


def test_dropping_the_losses_does_not_shorten_a_step(session: XlaSession) -> None:
    """Two sessions, one whose losses are thrown away unread, launch as much and reach the same weights."""
    with opened() as kept, opened() as dropped:
        launched = []
        for other in (kept, dropped):
            before = executions()
            for step in range(2):
                other.step(BATCHES(step))
                if other is dropped:
                    other._pending.clear()
            other.sync()
            launched.append(executions() - before)
        assert launched[0] == launched[1] == 2
        pairs = zip(kept.model.parameters(), dropped.model.parameters(), strict=True)
        assert all(torch.equal(one.detach().cpu(), other.detach().cpu()) for one, other in pairs)


# Compiling


def test_the_counter_sees_a_new_shape_and_nothing_else(session: XlaSession) -> None:
    before = session.compiled_graphs()
    for step in range(6, 12):
        session.step(BATCHES(step))
    session.sync()
    session.losses()
    assert session.compiled_graphs() == before
    longer = batch_source(replace(SMOKE, global_batch=8))
    session.step(longer(12))  # more micro-batches of the same shape: the mean of their losses is another graph
    assert session.compiled_graphs() > before
    session.losses()


def test_micro_batches_share_a_graph() -> None:
    """One graph for all but the last: cut on the device, each of the four would be another."""
    with opened(micro_batch=1) as session:
        before = session.compiled_graphs()
        session.step(BATCHES(0))
        session.step(BATCHES(1))
        session.sync()
        assert session.compiled_graphs() - before == 2


@pytest.mark.parametrize("number_of_losses", [1, 2, 5])
def test_reading_losses_compiles_nothing(session: XlaSession, number_of_losses: int) -> None:
    for step in range(number_of_losses):
        session.step(BATCHES(20 + step))
    session.sync()
    before = session.compiled_graphs()
    assert len(session.losses()) == number_of_losses
    assert session.compiled_graphs() == before


def test_no_learning_rate_is_compiled_into_the_update() -> None:
    """0 and 1 are the ones that torch-xla would write into the graph."""
    device = torch_xla.device()
    weight = torch.nn.Parameter(torch.ones(4, 4, device=device))
    weight.grad = torch.ones(4, 4, device=device)
    optimizer = AdamW([{"params": [weight], "weight_decay": 0.1}], betas=(0.9, 0.95), eps=1e-8)
    torch_xla.sync()
    compiled = []
    for rate in (0.1, 0.2, 0.0, 1.0):
        optimizer.param_groups[0]["scalars"] = torch.tensor([rate, 0.1, 0.05]).to(device)
        optimizer.step()
        torch_xla.sync()
        compiled.append(XlaDevice("CPU").compiled_graphs())
    assert len(set(compiled)) == 1, compiled


# Where operations run, and what they are


def test_an_operation_on_the_host_is_told() -> None:
    """In a process of its own: the counters never go back."""
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import torch, torch_xla\nfrom backends.neuron.xla_device import XlaDevice\n"
        "ones = torch.ones(8, device=torch_xla.device()); ones.sum().item(); device = XlaDevice('CPU')\n"
        "print(device.ran_elsewhere()); torch.histc(ones).cpu(); print(device.ran_elsewhere())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["None", "on the host: aten::histc"], done.stderr[-1000:]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_shipped_loss_gathers_nothing(loss: str) -> None:
    device = torch_xla.device()
    tail = Tail(1e-5, Numerics(torch.float32, torch.float32, "product"), loss)
    stream, norm, head = (torch.ones(shape, device=device, requires_grad=True) for shape in ((6, 8), (8,), (32, 8)))
    of_targets = tail(stream, torch.zeros(6, dtype=torch.int32, device=device), norm, head)
    gradients = torch.autograd.grad(of_targets, (stream, norm, head))
    program = torch_xla._XLAC._get_xla_tensors_hlo([of_targets, *gradients])
    assert (" gather(" in program) == (loss in ("logsumexp", "closed-form"))
    assert XlaOnCpu().as_is().loss == "masked"


def test_running_out_of_memory_is_recognised() -> None:
    device = XlaDevice("CPU")
    for words in ("Out of memory allocating 68719476736 bytes.", "std::bad_alloc", "RESOURCE_EXHAUSTED: no"):
        assert device.is_out_of_memory(RuntimeError(words))
    assert not device.is_out_of_memory(RuntimeError("shapes differ"))


def test_what_cannot_fit_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XlaDevice, "memory_bytes", lambda self: 2**20)
    with pytest.raises(OutOfMemory):
        opened()


def test_it_says_what_runs(session: XlaSession) -> None:
    said = session.describe()
    assert said["engine"] == "torch-xla"
    assert said["device_type"] == "cpu"
    assert "Neuron 2.30" in str(said["support"])
    assert said["fallback"] is None
    assert said["graphs_compiled"] == session.compiled_graphs()
