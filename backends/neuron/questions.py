"""What AWS's documentation leaves open about TorchNeuron, asked of the device itself: `fairchip doctor --deep`.

Each answer is an observation of this machine and release, one line; a question that raises is answered by its error.
"""

import os
import time
from collections.abc import Callable

import torch
from torch import Tensor

from backends.contract import Rank
from backends.neuron.native_device import NeuronDevice, imported

SIDE = 1024
REPEATS = 50


def main() -> None:
    """Ask everything, a line each."""
    device = NeuronDevice()
    place = device.take(Rank())
    for question, ask in QUESTIONS.items():
        try:
            answer = ask(place)
        except Exception as error:
            answer = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"
        print(f"{question}\t{answer}", flush=True)


def _names(device: torch.device) -> str:
    size = torch.neuron.get_device_properties(torch.neuron.current_device()).total_memory
    return f"{torch.neuron.get_device_name()}, {size / 2**30:.1f} GiB, of {torch.neuron.device_count()}"


def _does_the_barrier_wait(device: torch.device) -> str:
    """Time of the barrier, and of a read-back after it, behind a queue of products."""
    x = torch.ones(SIDE, SIDE).to(device)
    _products(x).cpu()
    _products(x)
    barrier = _seconds(torch.neuron.synchronize)
    y = _products(x)
    torch.neuron.synchronize()
    left = _seconds(lambda: y[0, 0].cpu())
    return f"barrier {barrier * 1e3:.2f} ms, read-back after it {left * 1e3:.2f} ms"


def _does_the_event_measure(device: torch.device) -> str:
    """Elapsed time of two events around products of two sizes; equal times measure nothing."""
    told = []
    for side in (SIDE, 2 * SIDE):
        x = torch.ones(side, side).to(device)
        before, after = (torch.neuron.Event(enable_timing=True) for _ in range(2))
        before.record()
        _products(x)
        after.record()
        torch.neuron.synchronize()
        told.append(before.elapsed_time(after))
    return f"{told[0]:.3f} ms and {told[1]:.3f} ms for 8 times the work"


def _are_scaled_gradients_right(device: torch.device) -> str:
    """Cosine of a compiled graph's gradients with the CPU's, the loss scaled by 1/16 and by 1/15."""
    torch.manual_seed(0)
    weight, x = torch.randn(256, 256), torch.randn(64, 256)
    return ", ".join(f"1/{scale}: cosine {_cosine(weight, x, scale, device):.6f}" for scale in (16, 15))


def _cosine(weight: Tensor, x: Tensor, scale: int, device: torch.device) -> float:
    gradients = []
    for place in (torch.device("cpu"), device):
        own = weight.detach().to(place).requires_grad_()

        def loss(w: Tensor, x: Tensor) -> Tensor:
            return torch.nn.functional.silu(x @ w).square().sum()

        run = torch.compile(loss, backend="neuron", dynamic=False) if place.type != "cpu" else loss
        (run(own, x.to(place)) / scale).backward()
        assert own.grad is not None
        gradients.append(own.grad.cpu().double().flatten())
    return float(torch.nn.functional.cosine_similarity(*gradients, dim=0))


def _fused_adamw(device: torch.device) -> str:
    weight = torch.ones(8, 8).to(device).requires_grad_()
    weight.grad = torch.ones(8, 8).to(device)
    torch.optim.AdamW([weight], fused=True).step()
    return f"accepted; a weight of 1 became {weight.detach().cpu()[0, 0]:.6f}"


def _memory_keys(device: torch.device) -> str:
    stats = torch.neuron.memory_stats()
    shape = "nested" if isinstance(stats.get("allocated_bytes"), dict) else "flat"
    return f"{shape}: {', '.join(sorted(map(str, stats))[:6])}"


def _accelerator_memory(device: torch.device) -> str:
    return f"torch.accelerator.memory_allocated() = {torch.accelerator.memory_allocated()}"


def _metrics(device: torch.device) -> str:
    found = imported().get_dynamo_metrics()
    return f"{len(found)} records with {', '.join(sorted(found[-1])) if found else 'nothing'}"


def _fallbacks(device: torch.device) -> str:
    """Of the operations of a step."""
    imported().clear_op_tracking()
    x = torch.ones(4, 8).to(device)
    torch._foreach_div_([x], 3.0)
    scores = torch.stack([x.logsumexp(-1), torch.linalg.vector_norm(x, dim=-1)]).clamp(max=1.0)
    x.gather(-1, torch.zeros(4, 1, dtype=torch.int32).to(device).long())
    torch.where(torch.arange(8, dtype=torch.int32, device=device) == 3, x, 0.0).sum()
    scores.mean().cpu()
    return ", ".join(sorted(set(map(str, imported().get_fallback_ops())))) or "none"


def _cache(device: torch.device) -> str:
    return os.environ.get("TORCH_NEURONX_NEFF_CACHE_DIR") or "the default; set the variable to know"


QUESTIONS: dict[str, Callable[[torch.device], str]] = {
    "core, its memory, and how many are visible": _names,
    "does torch.neuron.synchronize() wait": _does_the_barrier_wait,
    "does Event.elapsed_time() measure": _does_the_event_measure,
    "gradients of a loss scaled by no power of two": _are_scaled_gradients_right,
    "AdamW(fused=True)": _fused_adamw,
    "memory_stats()": _memory_keys,
    "torch.accelerator's memory": _accelerator_memory,
    "get_dynamo_metrics()": _metrics,
    "operations of a step that ran on the CPU": _fallbacks,
    "programs are cached in": _cache,
}


def _products(x: Tensor) -> Tensor:
    for _ in range(REPEATS):
        x = (x @ x) / SIDE
    return x


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
