"""Cross-entropy in torch whose gradient is written out: softmax less one at the target's place.

The softmax is computed again from the scores and the logarithm of their sum, in one loop over the vocabulary; the
targets' places, one in each row, are set after it. torch's own, compiled, goes through the vocabulary twice, the first
time to sum a gradient that is zero everywhere else: twice the time on a CPU (docs/performance.md).
"""

from typing import Any

import torch
from torch import Tensor


def closed_form_cross_entropy(scores: Tensor, targets: Tensor, master: torch.dtype) -> Tensor:
    """Summed cross-entropy in nats, a scalar of the master type, of scores (N, V) and targets int32 (N)."""
    summed: Tensor = _ClosedForm.apply(scores, targets.long()[:, None], master)
    return summed


class _ClosedForm(torch.autograd.Function):
    """Scores (N, V) and places int64 (N, 1) -> scalar.

    Keeps the scores in their own type. The backward pass reads them in one place alone, so that, compiled, their
    gradient takes their memory.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, places: Tensor, master: torch.dtype) -> Tensor:
        wide = scores.to(master)
        largest = wide.amax(-1, keepdim=True)
        log_sum = largest + (wide - largest).exp().sum(-1, keepdim=True).log()
        chosen = wide.gather(-1, places)
        ctx.save_for_backward(scores, places, log_sum, chosen)
        return (log_sum - chosen).sum()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None, None]:
        scores, places, log_sum, chosen = ctx.saved_tensors
        elsewhere = (scores.to(log_sum.dtype) - log_sum).exp() * outer
        at_target = ((chosen - log_sum).exp() - 1) * outer
        return elsewhere.to(scores.dtype).scatter(-1, places, at_target.to(scores.dtype)), None, None
