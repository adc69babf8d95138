"""The scalars of an AdamW step, in float64 on the host, the same for every framework."""

from dataclasses import dataclass

from workloads.spec import Optimizer


@dataclass(frozen=True, slots=True)
class StepScalars:
    """What changes from step to step; enters compiled steps as tensors, never as constants."""

    learning_rate: float
    bias_correction1: float
    """1 - beta1^t of Kingma and Ba, Adam (arXiv 1412.6980), algorithm 1."""
    bias_correction2: float


def learning_rate(optimizer: Optimizer, step: int) -> float:
    """Learning rate of step 0, 1, ...: rises linearly over the warm-up, then stays."""
    return optimizer.learning_rate * min(1.0, (step + 1) / max(1, optimizer.warmup_steps))


def step_scalars(optimizer: Optimizer, step: int) -> StepScalars:
    """The scalars of step 0, 1, ..."""
    return StepScalars(
        learning_rate=learning_rate(optimizer, step),
        bias_correction1=1.0 - optimizer.beta1 ** (step + 1),
        bias_correction2=1.0 - optimizer.beta2 ** (step + 1),
    )
