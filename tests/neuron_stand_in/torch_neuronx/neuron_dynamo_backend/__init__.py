"""The backend ``neuron`` of torch.compile: AOT Autograd's forward and backward graphs, each "compiled" to a NEFF.

A graph runs by the same operators as eager code does, so its numbers are the same. What is simulated is the rest:
the compiler's time and cache, its refusals, and the record that it leaves.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._dynamo.backends.common import aot_autograd

from torch_neuronx.neuron_dynamo_backend.graph import CompiledGraph

_OPTIONS = frozenset({"model_name"})


def neuron(
    graph: torch.fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
) -> Callable[..., Any]:
    """Compile one Dynamo graph.

    Raises:
        RuntimeError: ``dynamic=True`` or a symbolic shape (NCC_EMOD025).
    """
    if mode not in (None, "default"):
        warnings.warn(f"torch_neuronx: mode {mode!r} is ignored, only 'default' is supported", stacklevel=2)
    unknown = set(options or {}) - _OPTIONS
    if unknown:
        warnings.warn(f"torch_neuronx: options {sorted(unknown)} are ignored", stacklevel=2)
    if not torch._dynamo.config.assume_static_by_default or any(map(_is_symbolic, example_inputs)):
        raise RuntimeError("[NCC_EMOD025] dynamic shapes are not supported: pass dynamic=False")
    name = str((options or {}).get("model_name", "model"))

    def compiler(kind: str) -> Callable[[torch.fx.GraphModule, Sequence[Any]], CompiledGraph]:
        return lambda traced, inputs: CompiledGraph(traced, inputs, kind, name)

    compiled = aot_autograd(
        fw_compiler=compiler("forward"), bw_compiler=compiler("backward"), inference_compiler=compiler("inference")
    )
    return compiled(graph, example_inputs)


def _is_symbolic(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return any(isinstance(size, torch.SymInt) for size in value.shape)
    return isinstance(value, torch.SymInt | torch.SymFloat)
