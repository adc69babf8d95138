"""The small workload of the parity tests: everything that can be got wrong is in it and matters.

Grouped-query heads, frequency scaling that acts within the sequence, a clip that bites, warm-up, decay.
"""

from dataclasses import replace

from backends.contract import Rank, StepLoss
from backends.recipe import Recipe, resolve
from workloads.catalog import find_workload
from workloads.data import batch_source
from workloads.spec import Model, Optimizer, Precision, RotaryScaling, Workload

STEPS = 20


def small_workload(precision: Precision = "fp64", *, tied_head: bool = False) -> Workload:
    """Two layers on real text."""
    model = Model(
        dim=32,
        layers=2,
        heads=4,
        kv_heads=2,
        ffn_dim=64,
        vocab_size=256,
        tied_head=tied_head,
        rotary_scaling=RotaryScaling(
            factor=8.0, low_frequency_factor=1.0, high_frequency_factor=4.0, original_context=16
        ),
        init_std=0.1,
    )
    rule = Optimizer(learning_rate=3e-3, clip_norm=0.5)
    smoke = find_workload("smoke")
    return replace(
        smoke, name="small", model=model, optimizer=rule, sequence_length=24, global_batch=4, precision=precision
    )


def run_steps(session_class: type, workload: Workload, recipe: Recipe, steps: int = STEPS) -> list[StepLoss]:
    """The first steps of a workload on an engine's CPU device."""
    batches = batch_source(workload)
    with session_class(workload, resolve(recipe, workload), "cpu", Rank()) as session:
        for step in range(steps):
            session.step(batches(step))
        return list(session.losses())


def deviation(ours: list[StepLoss], true: list[StepLoss]) -> float:
    """Largest relative difference of losses and gradient norms, step by step."""
    return max(
        max(abs(a.loss - b.loss) / abs(b.loss), abs(a.gradient_norm - b.gradient_norm) / b.gradient_norm)
        for a, b in zip(ours, true, strict=True)
    )
