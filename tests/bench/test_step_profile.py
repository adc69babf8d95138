"""Where a step's time goes."""

import signal
import subprocess
import sys
from types import SimpleNamespace as Made

import pytest

from backends.errors import BackendError, Unavailable
from backends.fake import FakeBackend
from backends.profiles import OTHER, Operation
from bench.errors import UsageError
from bench.step_profile import _profiled, lines


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("aten::mm", "matrix products"),
        ("aten::addmm", "matrix products"),
        ("aten::mkldnn_convolution", "products as convolutions"),
        ("fairchip::convolved_back", "products as convolutions"),
        ("aten::conv_transpose2d", "products as convolutions"),
        ("dot_general", "matrix products"),
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64", "matrix products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "attention"),
        ("ynn_fusion", "fusions in a library"),
        ("graph_0_cpp_fused__unsafe_view_mul_silu_5", "compiled element-wise"),
        ("triton_poi_fused_add_3", "compiled element-wise"),
        ("Optimizer.step#AdamW.step", "optimizer and clipping"),
        ("aten::_foreach_mul_", "optimizer and clipping"),
        ("graph_3_cpp_fused__to_copy_add_copy_copy__div_fma_lerp_mul_rsub_sqrt_s", "optimizer and clipping"),
        ("aten::copy_", "copies"),
        ("aten::embedding", OTHER),
        ("aten::comma", OTHER),
    ],
)
def test_the_kind_of_an_operation(name: str, kind: str) -> None:
    assert Operation(name=name, seconds=1.0, calls=1).kind == kind


def test_the_table_has_kinds_shares_and_the_pace_of_products() -> None:
    operations = [
        ("matrix products", "aten::mm", 0.3, 10.0, 6e10),
        ("matrix products", "aten::bmm", 0.1, 1.0, 0.0001),
        ("other", "aten::add", 0.1, 2.0, 1e6),
    ]
    assert lines({"step_seconds": 0.45, "products": "", "operations": operations}, longest=1) == [
        "a step takes 450.0 ms; the profiler saw 500.0 ms of work in one",
        "    400.00 ms  80.0%  matrix products      150 GFLOP/s",
        "    100.00 ms  20.0%  other",
        "longest:",
        "    300.00 ms  60.0%    aten::mm (10x)      200 GFLOP/s",
    ]
    assert len(lines({"step_seconds": 0.45, "products": "", "operations": operations}, longest=0)) == 3


def test_a_kind_has_no_pace_where_the_profiler_counts_a_part_of_its_work() -> None:
    operations = [
        ("products as convolutions", "aten::conv2d", 0.1, 10.0, 6e10),
        ("products as convolutions", "aten::_convolution", 0.3, 10.0, 0.0),
    ]
    told = lines({"step_seconds": 0.4, "products": "float32 convolution", "operations": operations}, longest=0)
    assert told[1:] == ["products: float32 convolution", "    400.00 ms 100.0%  products as convolutions"]


def test_torch_names_its_operations() -> None:
    torch = pytest.importorskip("torch")
    from backends.profile_torch import operations

    left, right = torch.rand(64, 32), torch.rand(32, 16)
    found = {one.name: one for one in operations(lambda: [left @ right for _ in range(3)], "cpu")}
    product = found["aten::mm"]
    assert (product.calls, product.flops) == (3, 3 * 2 * 64 * 32 * 16)
    assert 0 < product.seconds < 60


def test_torch_s_profiler_finds_room_for_its_notes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from backends import profile_torch
    from backends.contract import MemoryUse

    happened = []
    held = MemoryUse(peak_bytes=4096, source="made up")
    monkeypatch.setattr(profile_torch, "peak_resident_memory", lambda: held)
    monkeypatch.setattr(torch, "ones", lambda size, dtype: happened.append(size * dtype.itemsize))
    profile_torch.operations(lambda: happened.append("the run"), "cpu")
    assert happened == [4096, "the run"]


def test_torch_s_profiler_refuses_what_it_cannot_see() -> None:
    pytest.importorskip("torch")
    from backends.profile_torch import operations

    with pytest.raises(Unavailable, match="does not look into neuron"):
        operations(lambda: None, "neuron")


def event(name: str, start_ns: float, duration_ns: float, *, executed: bool = True) -> Made:
    stats = [("hlo_op", name)] if executed else [("other", 1)]
    return Made(name=name, start_ns=start_ns, duration_ns=duration_ns, stats=stats)


def test_an_operation_s_own_time_is_without_what_runs_inside_it() -> None:
    """A loop holds a dot and a fusion, the fusion another dot; a wait is no operation."""
    pytest.importorskip("jax")
    from backends.profile_jax import of_trace

    thread = Made(
        events=[
            event("Wait", 0, 5000, executed=False),
            event("dot.2", 2000, 300),
            event("while.1", 1000, 4000),
            event("fusion.7.clone", 2500, 1000),
            event("dot.11", 2600, 100),
            event("dot.12", 6000, 50),
        ]
    )
    found = {one.name: one for one in of_trace(Made(planes=[Made(lines=[thread, Made(events=[])])]))}
    assert {name: round(one.seconds * 1e9) for name, one in found.items()} == {"while": 2700, "dot": 450, "fusion": 900}
    assert found["dot"].calls == 3


def test_a_jax_that_cannot_read_profiles_is_told_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As 0.7.0: its `ProfileData` is None."""
    pytest.importorskip("jax")
    from backends import profile_jax

    monkeypatch.setattr(profile_jax, "ProfileData", None)
    with pytest.raises(BackendError, match=r"jax [\d.]+ cannot read its profiles"):
        profile_jax.operations(pytest.fail)


def test_a_worker_s_error_is_a_line_and_a_hint(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the framework cannot do stands above the exit code, without a traceback."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(UsageError, match="torch-cuda ended with exit code 2"):
        _profiled("smoke", "torch-cuda", None, 1)
    told = capfd.readouterr().err
    assert "fairchip: " in told
    assert "Traceback" not in told


def test_a_worker_that_is_killed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a host that has too little memory: then nothing of its own stands above."""
    killed = subprocess.CompletedProcess([], -signal.SIGKILL, "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: killed)
    with pytest.raises(UsageError, match=r"torch-cpu was killed \(SIGKILL\): the usual cause is .* memory"):
        _profiled("smoke", "torch-cpu", None, 1)


def test_a_real_step() -> None:
    """Jax compiles the smallest workload quickly; most of its time is arithmetic."""
    if pytest.importorskip("jax").profiler.ProfileData is None:
        pytest.skip("this jax cannot read its profiles")
    command = [sys.executable, "-m", "bench.step_profile", "smoke", "jax-cpu", "--steps", "2", "--longest", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0].startswith("a step takes ")
    assert told[1].startswith("products: float32")
    assert "matrix products" in done.stdout
    assert told[-4] == "longest:"


def test_a_backend_without_a_profiler_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.step_profile.load_backend", lambda name: FakeBackend())
    with pytest.raises(UsageError, match="torch-cpu has no profiler"):
        _profiled("smoke", "torch-cpu", None, 1)
