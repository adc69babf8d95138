"""Names, shapes and counts of a model's parameters.

Names and (out, in) shapes are those of Hugging Face's Llama checkpoints, so that the published
weights, a transformers model and ours line up one to one.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from workloads.spec import Model

EMBEDDING = "model.embed_tokens.weight"
FINAL_NORM = "model.norm.weight"
HEAD = "lm_head.weight"


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


def distinct_shapes(model: Model) -> Iterator[tuple[tuple[int, ...], int]]:
    """Every shape and how many parameters have it, without a list of all layers."""
    for name, shape in parameter_shapes(replace(model, layers=1)).items():
        yield shape, model.layers if name.startswith(layer_prefix(0)) else 1


def product_shapes(model: Model) -> Counter[tuple[int, ...]]:
    """Shape (out, in) -> how many matrices of it multiply every token: the head always, the look-up never."""
    matrices = Counter[tuple[int, ...]]()
    for shape, count in distinct_shapes(model):
        if is_decayed(shape):
            matrices[shape] += count
    if not model.tied_head:
        matrices[model.vocab_size, model.dim] -= 1
    return matrices


def parameter_count(model: Model) -> int:
    """Number of parameters; a tied head counts once."""
    return sum(count * math.prod(shape) for shape, count in distinct_shapes(model))


def is_decayed(shape: tuple[int, ...]) -> bool:
    """Whether weight decay applies: to matrices, embedding included, not to norm weights."""
    return len(shape) >= 2
