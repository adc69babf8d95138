"""Names, shapes, counts and initial values of a model's parameters.

Names and (out, in) shapes are those of Hugging Face's Llama checkpoints, so that the published
weights, a transformers model and ours line up one to one.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from workloads.random_bits import normal_like
from workloads.spec import Model

EMBEDDING = "model.embed_tokens.weight"
FINAL_NORM = "model.norm.weight"
HEAD = "lm_head.weight"

_SLICE = 2**24
"""Parameters drawn at a time: bounds host memory to about a gigabyte beside the tensor itself."""


def layer_prefix(layer: int) -> str:
    """Beginning of the names of a decoder layer's parameters."""
    return f"model.layers.{layer}."


def parameter_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by name, in the order of the forward pass. A tied head is not listed."""
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (model.vocab_size, model.dim)}
    for layer in range(model.layers):
        shapes |= {layer_prefix(layer) + name: shape for name, shape in _layer_shapes(model).items()}
    shapes[FINAL_NORM] = (model.dim,)
    if not model.tied_head:
        shapes[HEAD] = (model.vocab_size, model.dim)
    return shapes


def _layer_shapes(model: Model) -> dict[str, tuple[int, ...]]:
    query, key_value = model.heads * model.head_width, model.kv_heads * model.head_width
    return {
        "input_layernorm.weight": (model.dim,),
        "self_attn.q_proj.weight": (query, model.dim),
        "self_attn.k_proj.weight": (key_value, model.dim),
        "self_attn.v_proj.weight": (key_value, model.dim),
        "self_attn.o_proj.weight": (model.dim, query),
        "post_attention_layernorm.weight": (model.dim,),
        "mlp.gate_proj.weight": (model.ffn_dim, model.dim),
        "mlp.up_proj.weight": (model.ffn_dim, model.dim),
        "mlp.down_proj.weight": (model.dim, model.ffn_dim),
    }


def parameter_count(model: Model) -> int:
    """Number of parameters; a tied head counts once."""
    return sum(math.prod(shape) for shape in parameter_shapes(model).values())


def is_decayed(shape: tuple[int, ...]) -> bool:
    """Whether weight decay applies: to matrices, embedding included, not to norm weights."""
    return len(shape) >= 2


def initial_parameters(model: Model, seed: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Name and float32 array of every parameter, one at a time, so that a model is never held twice.

    The same bits for every framework, machine and numpy version: float32 values, which other
    precisions convert. Each tensor has a stream of its own, keyed by seed and name.
    """
    for name, shape in parameter_shapes(model).items():
        yield name, initial_parameter(name, shape, model.init_std, seed)


def initial_parameter(name: str, shape: tuple[int, ...], std: float, seed: int) -> NDArray[np.float32]:
    """One initial parameter, float32: ones for a norm weight, else nearly normal with the given deviation."""
    if not is_decayed(shape):
        return np.ones(shape, dtype=np.float32)
    flat = np.empty(math.prod(shape), dtype=np.float32)
    for start in range(0, flat.size, _SLICE):
        stop = min(start + _SLICE, flat.size)
        flat[start:stop] = normal_like(seed, f"{name}/{start // _SLICE}", stop - start, std)
    return flat.reshape(shape)


def as_dict(model: Model, seed: int) -> Mapping[str, NDArray[np.float32]]:
    """All initial parameters at once, for models that fit twice."""
    return dict(initial_parameters(model, seed))
