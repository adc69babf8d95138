"""The stand-in for torch_neuronx does what its README says, so that tests of the backend can rely on it."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from neuron_stand_in.process import HERE, built, run, thorough, variables

pytest.importorskip("torch")

TIMED = """
import json, time, torch
x = torch.ones(8, device="neuron")
torch.neuron.synchronize()
marks = [time.perf_counter()]
for _ in range(4):
    x = x * 2
marks.append(time.perf_counter())
torch.neuron.synchronize()
marks.append(time.perf_counter())
value = x[0].item()
marks.append(time.perf_counter())
print(json.dumps([value, *(end - begin for begin, end in zip(marks, marks[1:]))]))
"""

COMPILED = """
import json, torch, torch_neuronx, warnings
module = torch.nn.Linear(4, 4, device="neuron")
compiled = torch.compile(lambda x: module(x).square().mean(), backend="neuron", dynamic=False, fullgraph=True)
x = torch.arange(8.0).reshape(2, 4).to("neuron")
gradients = []
for scale in SCALES:
    (compiled(x) * scale).backward()
    gradients.append((module.weight.grad / scale).flatten().tolist())
    module.weight.grad = None
print(json.dumps({
    "gradients": gradients,
    "metrics": torch_neuronx.get_dynamo_metrics(),
    "fallback": torch_neuronx.get_fallback_ops(),
}))
"""


@pytest.fixture(scope="module")
def library() -> Path:
    """The compiled device, kept between test runs."""
    return built()


def printed(environment: dict[str, str], code: str) -> Any:
    return json.loads(run(environment, "-c", code).splitlines()[-1])


def refusal(environment: dict[str, str], code: str) -> str:
    with pytest.raises(AssertionError) as failure:
        run(environment, "-c", code)
    return str(failure.value)


@thorough
def test_training_gives_the_losses_of_the_cpu(library: Path, tmp_path: Path) -> None:
    jobs = [{"device": "cpu", "foreach": True}, {"device": "neuron", "foreach": True}]
    jobs += [{"device": "neuron", "foreach": False}, {"device": "neuron", "foreach": True, "compile_blocks": True}]
    cpu, *neuron = json.loads(run(variables(library, tmp_path), str(HERE / "train.py"), json.dumps(jobs)))
    assert len(cpu["losses"]) == 3
    assert cpu["losses"][2] < cpu["losses"][0]
    for job in neuron:
        assert job["losses"] == pytest.approx(cpu["losses"], rel=1e-6)


@thorough
def test_fused_attention_has_the_gradients_of_the_cpu(library: Path, tmp_path: Path) -> None:
    code = """
import json, torch
def gradients(device):
    torch.manual_seed(0)
    qkv = [torch.randn(2, heads, 8, 16).to(device).requires_grad_() for heads in (4, 2, 2)]
    torch.nn.functional.scaled_dot_product_attention(*qkv, is_causal=True, enable_gqa=True).square().sum().backward()
    return [part.grad.cpu() for part in qkv]
print(json.dumps(max((a - b).abs().max().item() for a, b in zip(gradients("cpu"), gradients("neuron")))))
"""
    assert printed(variables(library, tmp_path), code) < 1e-5


@thorough
def test_import_of_torch_registers_the_device_unless_told_not_to(library: Path, tmp_path: Path) -> None:
    environment = variables(library, tmp_path)
    registered = "import torch; print(torch.accelerator.current_accelerator(), torch.neuron.device_count())"
    assert run(environment, "-c", registered) == "neuron 4\n"
    absent = "import torch; print(torch._C._get_privateuse1_backend_name(), hasattr(torch, 'neuron'))"
    assert run({**environment, "TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}, "-c", absent) == "privateuseone False\n"


@thorough
def test_host_runs_ahead_and_synchronize_waits(library: Path, tmp_path: Path) -> None:
    value, enqueue, wait, read = printed(variables(library, tmp_path, op_seconds=0.1), TIMED)
    assert value == 16
    assert enqueue < 0.2 < 0.35 < wait
    assert read < 0.2


def test_early_sync_leaves_the_waiting_to_who_reads_a_value(library: Path, tmp_path: Path) -> None:
    value, _, wait, read = printed(variables(library, tmp_path, faults=["early-sync"], op_seconds=0.1), TIMED)
    assert value == 16
    assert wait < 0.1 < 0.35 < read


@pytest.mark.parametrize(
    ("settings", "kind", "key"),
    [
        ({"out_of_memory": "torch"}, "OutOfMemoryError", "reserved_bytes"),
        ({"out_of_memory": "runtime", "flat_memory_stats": 1}, "RuntimeError", "reserved_bytes.all.peak"),
    ],
)
def test_memory_has_a_limit_and_a_peak(
    library: Path, tmp_path: Path, settings: dict[str, Any], kind: str, key: str
) -> None:
    code = """
import json, torch
kept = torch.empty(1 << 18, device="neuron")
(kept + 1).sum()
stale = torch.neuron.memory_allocated()
torch.neuron.synchronize()
seen = [stale, torch.neuron.memory_allocated(), torch.neuron.max_memory_allocated(), torch.neuron.memory_stats()]
try:
    torch.empty(1 << 20, device="neuron")
except RuntimeError as error:
    print(json.dumps([*seen, torch.neuron.memory_stats()["num_ooms"], type(error).__name__, str(error)]))
"""
    environment = variables(library, tmp_path, memory_bytes=4 << 20, op_seconds=0.1, **settings)
    stale, allocated, peak, stats, refused, raised, message = printed(environment, code)
    assert (stale, allocated) == (0, 1 << 20), "the allocator is asynchronous: read it after synchronize()"
    assert 2 << 20 <= peak < (2 << 20) + 1024
    assert key in stats
    assert (refused, raised) == (1, kind)
    assert "Failed to allocate" in message


def test_without_the_compiler_the_first_operator_hangs(library: Path, tmp_path: Path) -> None:
    environment = {**variables(library, tmp_path), "PATH": "/usr/bin:/bin"}
    code = "import torch; print(torch.neuron.device_count(), flush=True); torch.ones(3, device='neuron')"
    with pytest.raises(subprocess.TimeoutExpired) as hang:
        run(environment, "-c", code, timeout=5)
    assert hang.value.stdout == b"4\n"
    assert not hang.value.stderr


def test_operators_and_int64_tensors_are_tracked(library: Path, tmp_path: Path) -> None:
    code = """
import json, torch, torch_neuronx
torch.nn.functional.silu(torch.ones(3, device="neuron"))
seen = [torch_neuronx.get_executed_ops(), torch_neuronx.get_fallback_ops()]
torch_neuronx.clear_op_tracking()
seen.append(torch_neuronx.get_executed_ops())
for kind in (torch.int32, torch.int64):
    torch.ones(3, dtype=kind).to("neuron")
    seen.append(torch_neuronx.int64_events()["moved to the device"])
print(json.dumps(seen))
"""
    executed, fallback, cleared, after_int32, after_int64 = printed(variables(library, tmp_path), code)
    assert "aten::silu" in executed
    assert fallback == cleared == []
    assert (after_int32, after_int64) == (0, 1)
    executed, fallback, *_ = printed(variables(library, tmp_path, faults=["silent-fallback"]), code)
    assert "aten::silu" not in executed
    assert fallback == ["aten::silu"]


@thorough
def test_first_process_compiles_and_the_second_finds_the_cache(library: Path, tmp_path: Path) -> None:
    environment = variables(library, tmp_path)
    code = COMPILED.replace("SCALES", "(1.0, 1 / 15)")
    cold, warm = printed(environment, code), printed(environment, code)
    assert len(cold["metrics"]) == len(warm["metrics"]) == 2
    assert all(record["torch_neuronx_compile_us"] > 0 for record in cold["metrics"])
    assert all(record["torch_neuronx_compile_us"] == 0 for record in warm["metrics"])
    assert len(list(tmp_path.glob("??/??/*.neff"))) == 2
    whole, scaled = cold["gradients"]
    assert scaled == pytest.approx(whole, rel=1e-5), "without the fault any scale is right"


@thorough
def test_recompilation_shows_in_metrics_and_cache(library: Path, tmp_path: Path) -> None:
    environment = variables(library, tmp_path, faults=["recompile-every-N-steps"], recompile_every=2)
    assert len(printed(environment, COMPILED.replace("SCALES", "(1.0,) * 5"))["metrics"]) == 6
    assert len(list(tmp_path.glob("??/??/*.neff"))) == 6


@thorough
def test_scaled_gradients_are_corrupted_unless_by_a_power_of_two(library: Path, tmp_path: Path) -> None:
    environment = variables(library, tmp_path, faults=["corrupt-scaled-gradients"])
    whole, exact, scaled = printed(environment, COMPILED.replace("SCALES", "(1.0, 1 / 16, 1 / 15)"))["gradients"]
    assert exact == pytest.approx(whole, rel=1e-6)
    assert scaled != pytest.approx(whole, rel=1e-2)


@thorough
def test_failed_compilation_falls_back_silently_if_allowed(library: Path, tmp_path: Path) -> None:
    environment = {
        **variables(library, tmp_path, faults=["compile-fails"]),
        "TORCH_NEURONX_DISABLE_FALLBACK_EXECUTION": "0",
    }
    eager = printed(environment, COMPILED.replace("SCALES", "(1.0,)"))
    assert "aten::addmm" in eager["fallback"]
    assert eager["metrics"] == []


@thorough
def test_compiler_refuses_what_the_real_one_does(library: Path, tmp_path: Path) -> None:
    code = """
import json, os, torch
def outcome(x, dynamic=False, **variables):
    torch._dynamo.reset()
    os.environ.update(variables)
    try:
        return torch.compile(lambda x: x * 2, backend="neuron", dynamic=dynamic, fullgraph=True)(x).device.type
    except Exception as error:
        return str(error)
    finally:
        for name in variables:
            del os.environ[name]
x = torch.arange(8.0)
print(json.dumps([
    outcome(x),
    outcome(x, TORCH_NEURONX_DYNAMO_DISABLE_CPU_AUTOCOPY="1"),
    outcome(x.to("neuron"), dynamic=True),
    outcome(x.to("neuron"), NEURON_CC_FLAGS="--cache_dir=/tmp"),
]))
"""
    copied, uncopied, dynamic, flags = printed(variables(library, tmp_path), code)
    assert copied == "neuron", "CPU tensors are copied without a word by default"
    assert "AUTOCOPY" in uncopied
    assert "NCC_EMOD025" in dynamic
    assert "NCC_EARG002" in flags
    failing = variables(library, tmp_path, faults=["compile-fails"])
    assert "failed to compile" in printed(failing, code)[0]


def test_no_device_raises_when_counted(library: Path, tmp_path: Path) -> None:
    code = "import torch; print(torch.neuron.is_available(), flush=True); torch.neuron.device_count()"
    message = refusal(variables(library, tmp_path, faults=["no-device"]), code)
    assert "no Neuron device" in message


@thorough
def test_runtime_variables_choose_the_cores(library: Path, tmp_path: Path) -> None:
    environment, code = variables(library, tmp_path), "import torch; print(torch.neuron.device_count())"
    assert run({**environment, "NEURON_RT_VISIBLE_CORES": "1-2"}, "-c", code) == "2\n"
    assert run({**environment, "NEURON_RT_NUM_CORES": "1"}, "-c", code) == "1\n"


@thorough
def test_two_processes_compute_what_one_does(library: Path, tmp_path: Path) -> None:
    environment = {**variables(library, tmp_path), "INIT_FILE": str(tmp_path / "rendezvous"), "WORLD_SIZE": "2"}
    other = {**environment, "RANK": "1", "LOCAL_RANK": "1"}
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(run, other, str(HERE / "collectives.py"))
        first = run({**environment, "RANK": "0", "LOCAL_RANK": "0"}, str(HERE / "collectives.py"))
    for rank, text in enumerate((first, second.result())):
        seen = json.loads(text.splitlines()[-1])
        assert seen["device"] == f"neuron:{rank}", "every index lands on the local rank"
        assert seen["fully_shard"] == pytest.approx(seen["alone"], rel=1e-5)
        assert seen["zero"] == pytest.approx(seen["alone"], rel=1e-5)


def test_process_group_must_come_before_the_device(library: Path, tmp_path: Path) -> None:
    code = """
import torch
torch.ones(3, device="neuron")
torch.distributed.init_process_group("neuron", rank=0, world_size=1, store=torch.distributed.HashStore())
"""
    assert "should not be initialized before the init_process_group" in refusal(variables(library, tmp_path), code)


@thorough
def test_slow_first_step(library: Path, tmp_path: Path) -> None:
    environment = variables(library, tmp_path, faults=["slow-first-step"], first_step_seconds=1)
    (job,) = json.loads(run(environment, str(HERE / "train.py"), '[{"device": "neuron"}]'))
    assert job["seconds"][0] > 1 > max(job["seconds"][1:])


@thorough
def test_unknown_fault_and_missing_library_are_named(library: Path, tmp_path: Path) -> None:
    environment = variables(library, tmp_path)
    assert "NEURON_STAND_IN_LIBRARY" in refusal({**environment, "NEURON_STAND_IN_LIBRARY": ""}, "import torch")
    assert "ealry" in refusal({**environment, "NEURON_STAND_IN_FAULTS": "ealry-sync"}, "import torch")
