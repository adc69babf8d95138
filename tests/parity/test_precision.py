"""fp32 and bf16-mixed on both engines: within tolerance of float64, and caught when they pose as each other."""

from dataclasses import replace

import numpy as np
import pytest
from parity_workload import run_steps

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

from backends.contract import Rank  # noqa: E402
from backends.engine_jax import JaxSession  # noqa: E402
from backends.engine_torch import TorchSession  # noqa: E402
from backends.products_jax import probe_products as jax_probe  # noqa: E402
from backends.products_torch import probe_products as torch_probe  # noqa: E402
from backends.recipe import Recipe, resolve  # noqa: E402
from backends.torch_sharding import total_norm  # noqa: E402
from workloads.catalog import find_workload  # noqa: E402
from workloads.data import batch_source  # noqa: E402
from workloads.models import llama_jax, llama_torch  # noqa: E402
from workloads.precision import POLICIES  # noqa: E402
from workloads.references import find_trajectory, tolerance  # noqa: E402
from workloads.spec import Precision, Workload  # noqa: E402

RECIPES = {TorchSession: Recipe(compile="off", attention="sdpa-master"), JaxSession: Recipe(compile="whole")}


@pytest.mark.parametrize("session_class", [TorchSession, JaxSession])
@pytest.mark.parametrize(("name", "precision"), [("smoke", "fp32"), ("smoke", "bf16-mixed"), ("bytes-5m", "fp32")])
def test_tracks_float64_over_all_steps(name: str, session_class: type, precision: Precision) -> None:
    workload = replace(find_workload(name), precision=precision)
    trajectory = find_trajectory(workload)
    assert trajectory is not None
    limit, _ = tolerance(trajectory, precision)
    steps = run_steps(session_class, workload, RECIPES[session_class], len(trajectory.losses))
    apart = [abs(s.loss - true) / true for s, true in zip(steps, trajectory.losses, strict=True)]
    assert max(apart) <= limit


def test_bf16_is_not_within_fp32s_tolerance() -> None:
    """Else the fp32 gate could not tell them apart."""
    for name in ("smoke", "bytes-5m"):
        trajectory = find_trajectory(find_workload(name))
        assert trajectory is not None
        assert trajectory.bf16_deviation > tolerance(trajectory, "fp32")[0]


@pytest.mark.parametrize(("precision", "least"), [("fp32", 0.999999), ("bf16-mixed", 0.99)])
@pytest.mark.parametrize("session_class", [TorchSession, JaxSession])
def test_gradient_cosines_at_step_0(session_class: type, precision: Precision, least: float) -> None:
    workload = find_workload("smoke")
    true = _gradients(session_class, replace(workload, precision="fp64"))
    ours = _gradients(session_class, replace(workload, precision=precision))
    for name, gradient in true.items():
        cosine = (gradient * ours[name]).sum() / np.linalg.norm(gradient) / np.linalg.norm(ours[name])
        assert cosine >= least, name


def _gradients(session_class: type, workload: Workload) -> dict[str, np.ndarray]:
    batch = batch_source(workload)(0)
    with session_class(workload, resolve(RECIPES[session_class], workload), "cpu", Rank()) as session:
        if session_class is JaxSession:
            return {name: np.asarray(g, np.float64) for name, g in session.gradients(batch).items()}
        for inputs, targets in session._micro_batches(batch):
            session._forward_backward(inputs, targets)
        names = [name for name, _ in session.model.named_parameters()]
        return dict(zip(names, (g.double().numpy() for g in session.gradients()), strict=True))


def test_the_gradient_norm_keeps_its_digits_over_large_matrices() -> None:
    gradients = [torch.randn(8192, 256, generator=torch.Generator().manual_seed(0)), torch.ones(7)]
    true = total_norm([gradient.double() for gradient in gradients])
    assert abs(total_norm(gradients) - true) / true < 2e-6


@pytest.mark.parametrize(("precision", "bits"), [("fp32", 23), ("bf16-mixed", 7), ("fp64", 52)])
def test_the_probe_tells_precisions_apart(precision: Precision, bits: int) -> None:
    policy = POLICIES[precision]
    jax.config.update("jax_enable_x64", precision == "fp64")  # as a session does, each for itself
    ours = torch_probe(llama_torch.Numerics.of(policy, "product"), torch.device("cpu"))
    theirs = jax_probe(llama_jax.Numerics.of(policy, "product"), jax.devices("cpu")[0])
    assert ours == theirs == {"operand_fraction_bits": bits, "accumulation_exact": True}


def test_bf16_posing_as_fp32_is_seen() -> None:
    """Master float32 but operands silently narrower: the probe reads the operands' bits, not their label."""
    posing = llama_torch.Numerics(torch.float32, torch.bfloat16, "product")
    assert torch_probe(posing, torch.device("cpu"))["operand_fraction_bits"] == 7
    assert POLICIES["fp32"].operand_fraction_bits > 7
