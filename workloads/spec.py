"""The mathematics of a training run, frozen: what two runs must share before they may be ranked.

A `Workload` holds no device, no micro-batch and no compiler flag (those are a recipe's). Its `digest`
is the sha256 of its canonical JSON. Fields at their default are left out of that form, so a field
added later orphans no old record; tests pin the digests of the catalog.
"""

import hashlib
import json
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

_STRICT = {"extra": "forbid", "strict": True}
"""How `workloads.parse` validates these classes: no unknown key, no silent conversion."""

Precision = Literal["fp32", "bf16-mixed", "fp64", "bf16-emulated"]
DataKind = Literal["text", "tokens", "synthetic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaryScaling:
    """Llama 3's frequency scaling (``rope_type: llama3`` in published configurations).

    Wavelengths above ``original_context / low_frequency_factor`` are divided by ``factor``, those below
    ``original_context / high_frequency_factor`` are kept, those between are interpolated.
    """

    __pydantic_config__ = _STRICT

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    original_context: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A Llama-style decoder: RMSNorm, rotary grouped-query attention, SwiGLU, no biases."""

    __pydantic_config__ = _STRICT

    dim: int
    layers: int
    heads: int
    kv_heads: int
    ffn_dim: int
    vocab_size: int
    tied_head: bool = False
    head_dim: int | None = None
    """Width of one head; None means dim / heads."""
    rotary_base: float = 10000.0
    rotary_scaling: RotaryScaling | None = None
    norm_epsilon: float = 1e-5
    init_std: float = 0.02
    """Standard deviation of every initial matrix; norm weights start at 1."""

    @property
    def head_width(self) -> int:
        """Width of one attention head, in elements."""
        return self.head_dim if self.head_dim is not None else self.dim // self.heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """AdamW with decoupled decay on matrices only, global-norm clipping, linear warm-up, then a constant rate."""

    __pydantic_config__ = _STRICT

    learning_rate: float = 3e-4
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    warmup_steps: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Where token ids come from.

    ``text``: the bytes of a shipped corpus. ``tokens``: a flat file of uint16 or uint32 ids.
    ``synthetic``: a named generator (workloads/synthetic.py).
    """

    __pydantic_config__ = _STRICT

    kind: DataKind
    name: str | None = None
    """Corpus or generator; None for ``tokens``, which its sha256 identifies."""
    sha256: str | None = None
    """Of the uncompressed bytes; None for ``synthetic``."""
    dtype: Literal["uint16", "uint32"] | None = None
    path: str | None = field(default=None, compare=False, metadata={"canonical": False})
    """Where the token file lies on this machine. Not mathematics: in no digest and no record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What is trained. Equal digests mean equal mathematics."""

    __pydantic_config__ = _STRICT

    name: str = field(compare=False, metadata={"canonical": False})
    model: Model
    data: Data
    sequence_length: int
    """Target tokens per sequence."""
    global_batch: int
    """Sequences per optimizer step, over all ranks."""
    precision: Precision
    optimizer: Optimizer = Optimizer()
    seed: int = 0

    @property
    def tokens_per_step(self) -> int:
        """Target tokens of one optimizer step. Nothing is padded, so all are real."""
        return self.global_batch * self.sequence_length

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON, 64 hexadecimal characters."""
        return hashlib.sha256(canonical_json(self).encode()).hexdigest()

    @property
    def trajectory_digest(self) -> str:
        """Digest of the same workload in float64: the key of its reference trajectory."""
        return replace(self, precision="fp64").digest


def canonical_json(workload: Workload) -> str:
    """The workload as JSON with sorted keys, no spaces and no field that is at its default."""
    return json.dumps(canonical(workload), sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: Any) -> Any:
    """Nested plain data of a specification; fields at their default are left out."""
    if not is_dataclass(value):
        return value
    return {
        item.name: canonical(getattr(value, item.name))
        for item in fields(value)
        if item.metadata.get("canonical", True) and getattr(value, item.name) != _default(item)
    }


def _default(item: "Field[Any]") -> Any:
    return item.default if item.default is not MISSING else _NO_DEFAULT


_NO_DEFAULT = object()
