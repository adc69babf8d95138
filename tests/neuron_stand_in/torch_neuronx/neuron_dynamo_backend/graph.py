"""One traced graph: compiled at its first call, then run."""

import ctypes
import hashlib
import math
import os
import time
from collections.abc import Sequence
from typing import Any

import torch

from torch_neuronx._library import DEVICE, EAGER, FELL_BACK, IN_GRAPH
from torch_neuronx._settings import is_on
from torch_neuronx.metrics import add_record, get_dynamo_metrics
from torch_neuronx.neuron_dynamo_backend.neff_cache import NeffCache


class CompiledGraph:
    """A forward, backward or inference graph of AOT Autograd, called with a list that it empties."""

    def __init__(self, graph: torch.fx.GraphModule, inputs: Sequence[Any], kind: str, model_name: str) -> None:
        self._graph, self._kind, self._model_name = graph, kind, model_name
        self._key = _key(graph, inputs)
        self._calls = 0
        self._mode = EAGER
        self._boxed_call = True  # in the object, not the class: Dynamo's wrapper of a backward copies only that
        placeholders = [str(node.target) for node in graph.graph.nodes if node.op == "placeholder"]
        self._tangents = [index for index, name in enumerate(placeholders) if name.startswith("tangents")]

    def __call__(self, arguments: list[Any]) -> Any:
        """Enqueue the graph.

        Raises:
            RuntimeError: it cannot be compiled, or an input lies on the CPU and must not be copied silently.
        """
        every = DEVICE.settings.recompile_every
        if self._calls == 0 or (every and self._calls % every == 0):
            self._mode = self._compile(f"{self._key}{self._calls or ''}")
        self._calls += 1
        inputs = [_on_device(argument) for argument in arguments]
        corrupt = self._kind == "backward" and self._is_corrupted([inputs[index] for index in self._tangents])
        arguments.clear()
        before = DEVICE.c.nsi_set_mode(self._mode)
        try:
            results = self._graph(*inputs)
        finally:
            DEVICE.c.nsi_set_mode(before)
        if self._mode == IN_GRAPH:
            DEVICE.c.nsi_enqueue(-1, DEVICE.settings.op_seconds)
        return _corrupted(results) if corrupt else results

    def _compile(self, identity: str) -> int:
        """Put the NEFF into the cache and the compiler's time into the device's queue; returns how to run."""
        flags = os.environ.get("NEURON_CC_FLAGS", "")
        if "--cache_dir" in flags:
            raise RuntimeError("[NCC_EARG002] neuronx-cc: unrecognized argument --cache_dir (from NEURON_CC_FLAGS)")
        if "compile-fails" in DEVICE.settings.faults:
            if is_on("TORCH_NEURONX_DISABLE_FALLBACK_EXECUTION", True):
                raise RuntimeError(f"neuronx-cc failed to compile the {self._kind} graph (exit status 70)")
            return FELL_BACK
        key = hashlib.sha256(f"{identity} {flags}".encode()).hexdigest()
        is_new = NeffCache().add(key, self._graph.code)
        seconds = DEVICE.settings.compile_seconds if is_new else 0.0
        DEVICE.c.nsi_enqueue(-1, seconds)  # asynchronous: it is done when the queue is
        self._record(seconds)
        return IN_GRAPH

    def _record(self, seconds: float) -> None:
        number = len(get_dynamo_metrics())
        add_record(
            {
                "graph_id": number,
                "graph_name": f"{self._model_name}_{self._kind}_{number}",
                "model_name": self._model_name,
                "has_collectives": "_c10d_functional" in self._graph.code,
                "graph_node_count": len(self._graph.graph.nodes),
                "timestamp": time.time(),
                "torch_neuronx_fx_passes_us": 100,
                "torch_neuronx_lower_us": 100,
                "torch_neuronx_compile_us": int(seconds * 1e6),
            }
        )

    @staticmethod
    def _is_corrupted(tangents: list[torch.Tensor]) -> bool:
        """Whether the fault is on and the gradient of a scalar that comes in is no power of two."""
        if "corrupt-scaled-gradients" not in DEVICE.settings.faults:
            return False
        scales = [_peek(tangent) for tangent in tangents if tangent.numel() == 1]
        return any(scale and abs(math.frexp(scale)[0]) != 0.5 for scale in scales)


def _key(graph: torch.fx.GraphModule, inputs: Sequence[Any]) -> str:
    """Of the graph and the shapes and types that it was traced for; the same in every process."""
    shapes = [(str(x.dtype), tuple(x.shape), x.stride()) if isinstance(x, torch.Tensor) else x for x in inputs]
    return hashlib.sha256(f"{graph.code}{shapes}".encode()).hexdigest()


def _on_device(argument: Any) -> Any:
    """The argument; a CPU tensor is copied without a word, as the real one does unless told not to.

    Raises:
        RuntimeError: it is a CPU tensor and TORCH_NEURONX_DYNAMO_DISABLE_CPU_AUTOCOPY=1.
    """
    if not isinstance(argument, torch.Tensor) or argument.device.type != "cpu":
        return argument
    if is_on("TORCH_NEURONX_DYNAMO_DISABLE_CPU_AUTOCOPY", False):
        raise RuntimeError("a compiled graph got a CPU tensor and TORCH_NEURONX_DYNAMO_DISABLE_CPU_AUTOCOPY=1")
    return argument.to("neuron")


def _peek(tangent: torch.Tensor) -> float:
    """The value as it lies in memory, without waiting for the queue: a fault must not hide another one."""
    kinds = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}
    kind = kinds.get(tangent.dtype)
    return kind.from_address(tangent.data_ptr()).value if kind else float(tangent)


def _corrupted(gradients: Any) -> Any:
    """Gradients with another direction, a cosine of about 0.9 with the right one; scalars stay."""
    return [
        gradient + 0.5 * gradient.flatten().roll(1).view_as(gradient)
        if isinstance(gradient, torch.Tensor)
        else gradient
        for gradient in gradients
    ]
