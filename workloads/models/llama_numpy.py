"""The oracle: forward pass and loss in float64 numpy, written to be checked by eye.

Shape letters: B sequences, T positions, D model width, H heads, K key-value heads, W head width, V vocabulary.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workloads.rotary import rotary_tables
from workloads.shapes import EMBEDDING, FINAL_NORM, HEAD, layer_prefix
from workloads.spec import Model

Array = NDArray[np.float64]
Parameters = Mapping[str, NDArray[np.float32]]


def loss(model: Model, parameters: Parameters, inputs: NDArray[np.int32], targets: NDArray[np.int32]) -> float:
    """Mean next-token cross-entropy in nats over all B x T targets."""
    scores = logits(model, parameters, inputs)
    shifted = scores - scores.max(axis=-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return float(-np.take_along_axis(log_probabilities, targets[..., None], axis=-1).mean())


def logits(model: Model, parameters: Parameters, inputs: NDArray[np.int32]) -> Array:
    """Scores of the next token, float64 (B, T, V), of int32 inputs (B, T)."""
    stream = _weight(parameters, EMBEDDING)[inputs]
    for layer in range(model.layers):
        stream = _block(model, parameters, layer_prefix(layer), stream)
    normed = _rms_norm(stream, _weight(parameters, FINAL_NORM), model.norm_epsilon)
    return normed @ _weight(parameters, EMBEDDING if model.tied_head else HEAD).T


def _block(model: Model, parameters: Parameters, prefix: str, stream: Array) -> Array:
    def weight(name: str) -> Array:
        return _weight(parameters, f"{prefix}{name}.weight")

    normed = _rms_norm(stream, weight("input_layernorm"), model.norm_epsilon)
    queries, keys, values = (normed @ weight(f"self_attn.{role}_proj").T for role in "qkv")
    stream = stream + _attention(model, queries, keys, values) @ weight("self_attn.o_proj").T
    normed = _rms_norm(stream, weight("post_attention_layernorm"), model.norm_epsilon)
    gate, up = normed @ weight("mlp.gate_proj").T, normed @ weight("mlp.up_proj").T
    return stream + (gate / (1 + np.exp(-gate)) * up) @ weight("mlp.down_proj").T


def _attention(model: Model, queries: Array, keys: Array, values: Array) -> Array:
    """Causal grouped-query attention: (B, T, H W), (B, T, K W) twice -> (B, T, H W)."""
    batch, positions, _ = queries.shape
    cosine, sine = rotary_tables(model, positions)
    q = _rotate(_split(queries, model.heads), cosine, sine)
    k = _rotate(_split(keys, model.kv_heads), cosine, sine)
    group = model.heads // model.kv_heads
    k, v = (np.repeat(part, group, axis=1) for part in (k, _split(values, model.kv_heads)))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(model.head_width)
    scores = np.where(np.tri(positions, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return (weights @ v).swapaxes(1, 2).reshape(batch, positions, -1)


def _rotate(heads: Array, cosine: Array, sine: Array) -> Array:
    first, second = np.split(heads, 2, axis=-1)
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def _split(flat: Array, heads: int) -> Array:
    """(B, T, H W) -> (B, H, T, W)."""
    batch, positions, _ = flat.shape
    return flat.reshape(batch, positions, heads, -1).swapaxes(1, 2)


def _rms_norm(x: Array, weight: Array, epsilon: float) -> Array:
    scaled: Array = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + epsilon) * weight
    return scaled


def _weight(parameters: Parameters, name: str) -> Array:
    return parameters[name].astype(np.float64)
