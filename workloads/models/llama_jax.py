"""The decoder in jax, for any device: pure functions over a dictionary of parameters with the shared names.

Precision is explicit, as in the torch twin. Shape letters: B sequences, T positions, H heads, K key-value
heads, G = H / K, W head width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array
from jax.ad_checkpoint import checkpoint_name

from workloads.models.causal_blocks_jax import ATTENTION, blocked_attention
from workloads.models.rematerialise_jax import computed_again
from workloads.precision import PrecisionPolicy
from workloads.rotary import rotary_tables
from workloads.shapes import EMBEDDING, FINAL_NORM, HEAD, layer_prefix
from workloads.spec import Model

Parameters = Mapping[str, Array]

ATTENTIONS = ("product", "causal-blocks", "sdpa", "sdpa-cudnn")
LOSSES = ("cross-entropy", "masked")
PRODUCT = "product"
"""Name of a product, see rematerialise_jax."""


@dataclass(frozen=True)
class Numerics:
    """A precision policy in jax's types, and how attention is computed (a recipe's choice)."""

    master: jnp.dtype
    operands: jnp.dtype
    attention: str
    """``product`` (two matrix products and a softmax), ``causal-blocks`` (the same of some queries at a time with the
    keys up to them, which leaves nearly half the work out), ``sdpa`` (`jax.nn.dot_product_attention` as XLA compiles
    it) or ``sdpa-cudnn`` (the same by cuDNN's fused kernel, which knows 16-bit operands alone; it or an error)."""

    @staticmethod
    def of(policy: PrecisionPolicy, attention: str) -> "Numerics":
        """The policy's names as jax types."""
        return Numerics(jnp.dtype(policy.master), jnp.dtype(policy.operands), attention)


@dataclass(frozen=True)
class Form:
    """How it is computed, which changes no mathematics."""

    rematerialise: bool | Literal["between-products"] = False
    """Recompute each layer's activations in the backward pass: all, or all but results of products and attention."""
    loss: str = "cross-entropy"
    """``cross-entropy`` takes the target's score out with a gather, ``masked`` without one."""
    loss_parts: int = 1
    """Equal parts of the positions whose scores exist one after the other."""
    scan: bool = False
    """The layers as one loop over their stacked weights, which is compiled once, instead of one after the other."""


def loss(
    model: Model, numerics: Numerics, parameters: Parameters, inputs: Array, targets: Array, form: Form = Form()
) -> Array:
    """Mean next-token cross-entropy in nats, a scalar of the master type, of int32 tokens (B, T) twice."""
    stream = _stream(model, numerics, parameters, inputs, form)
    of_part = partial(_summed_loss, model, numerics, form.loss)
    weights = {name: parameters[name] for name in (FINAL_NORM, EMBEDDING if model.tied_head else HEAD)}
    if form.loss_parts == 1:
        return of_part(weights, stream, targets) / targets.size
    return _summed_in_parts(of_part, form.loss_parts, weights, stream, targets) / targets.size


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _summed_in_parts(
    of_part: Callable[..., Array], count: int, weights: Parameters, stream: Array, targets: Array
) -> Array:
    """Part by part: the gradients of each are taken at once, so that the scores of one part exist at a time."""
    return _parts_forward(of_part, count, weights, stream, targets)[0]


def _parts_forward(
    of_part: Callable[..., Array], count: int, weights: Parameters, stream: Array, targets: Array
) -> tuple[Array, Any]:
    def add(total: Any, part: tuple[Array, Array]) -> tuple[Any, Array]:
        loss, (of_weights, of_stream) = jax.value_and_grad(of_part, argnums=(0, 1))(weights, *part)
        return jax.tree.map(jnp.add, total, (loss, of_weights)), of_stream

    nothing = jnp.zeros((), next(iter(weights.values())).dtype), jax.tree.map(jnp.zeros_like, weights)
    parts = tuple(_parts(whole, count) for whole in (stream, targets))
    (loss, of_weights), of_stream = jax.lax.scan(add, nothing, parts)
    return loss, (of_weights, jnp.moveaxis(of_stream, 0, 1).reshape(stream.shape))


def _parts_backward(of_part: Callable[..., Array], count: int, gradients: Any, outer: Array) -> tuple[Any, ...]:
    return *jax.tree.map(lambda gradient: outer * gradient, gradients), None


_summed_in_parts.defvjp(_parts_forward, _parts_backward)


def _parts(whole: Array, count: int) -> Array:
    """(B, T, ...) -> (count, B, T / count, ...)."""
    return jnp.moveaxis(whole.reshape(whole.shape[0], count, -1, *whole.shape[2:]), 1, 0)


def _summed_loss(
    model: Model, numerics: Numerics, form: str, parameters: Parameters, stream: Array, targets: Array
) -> Array:
    scores = _scores(model, numerics, parameters, stream).astype(numerics.master)
    if form == "masked":
        places = jnp.arange(scores.shape[-1], dtype=targets.dtype)
        chosen = jnp.where(places == targets[..., None], scores, 0).sum(-1)
    else:
        chosen = jnp.take_along_axis(scores, targets[..., None], axis=-1)[..., 0]
    return jnp.sum(jax.nn.logsumexp(scores, axis=-1) - chosen)


def logits(model: Model, numerics: Numerics, parameters: Parameters, inputs: Array) -> Array:
    """Scores of the next token (B, T, V) in the operands' type."""
    return _scores(model, numerics, parameters, _stream(model, numerics, parameters, inputs, Form()))


def _scores(model: Model, numerics: Numerics, parameters: Parameters, stream: Array) -> Array:
    normed = _rms_norm(stream, parameters[FINAL_NORM], model.norm_epsilon)
    return product(numerics, normed, parameters[EMBEDDING if model.tied_head else HEAD])


def _stream(model: Model, numerics: Numerics, parameters: Parameters, inputs: Array, form: Form) -> Array:
    """What the layers make of the tokens: (B, T, D) before the final norm."""
    tables = tuple(jnp.asarray(table, numerics.master) for table in rotary_tables(model, inputs.shape[-1]))

    def block(stream: Array, weights: Parameters) -> Array:
        return _block(model, numerics, weights, stream, tables)

    run = _rematerialised(block, form)
    stream = parameters[EMBEDDING][inputs]
    layers = [_of_layer(parameters, layer) for layer in range(model.layers)]
    if form.scan:
        return jax.lax.scan(lambda stream, weights: (run(stream, weights), None), stream, _stacked(numerics, layers))[0]
    for weights in layers:
        stream = run(stream, weights)
    return stream


def _rematerialised(block: Callable[..., Array], form: Form) -> Callable[..., Array]:
    if form.rematerialise == "between-products":
        return computed_again(block, (PRODUCT, ATTENTION))
    return jax.checkpoint(block) if form.rematerialise else block


def _stacked(numerics: Numerics, layers: Sequence[Parameters]) -> dict[str, Array]:
    """Each weight of all layers as one array; matrices in the operands' type already, which is half the copying."""

    def stack(name: str) -> Array:
        weights = [layer[name] for layer in layers]
        return jnp.stack([weight.astype(numerics.operands) if weight.ndim > 1 else weight for weight in weights])

    return {name: stack(name) for name in layers[0]}


def _of_layer(parameters: Parameters, layer: int) -> dict[str, Array]:
    prefix = layer_prefix(layer)
    return {name.removeprefix(prefix): value for name, value in parameters.items() if name.startswith(prefix)}


def _block(model: Model, numerics: Numerics, weights: Parameters, stream: Array, tables: tuple[Array, ...]) -> Array:
    def linear(x: Array, name: str) -> Array:
        return product(numerics, x, weights[f"{name}.weight"])

    normed = _rms_norm(stream, weights["input_layernorm.weight"], model.norm_epsilon)
    queries, keys, values = (linear(normed, f"self_attn.{role}_proj") for role in "qkv")
    stream = stream + linear(_attention(model, numerics, queries, keys, values, tables), "self_attn.o_proj")
    normed = _rms_norm(stream, weights["post_attention_layernorm.weight"], model.norm_epsilon)
    gated = jax.nn.silu(linear(normed, "mlp.gate_proj")) * linear(normed, "mlp.up_proj")
    return stream + linear(gated, "mlp.down_proj")


def product(numerics: Numerics, x: Array, weight: Array) -> Array:
    """X W^T with W (out, in), both in the operands' type, at full precision of that type (no TF32)."""
    flat = jnp.einsum(
        "ti,oi->to",
        x.reshape(-1, x.shape[-1]).astype(numerics.operands),
        weight.astype(numerics.operands),
        precision=jax.lax.Precision.HIGHEST,
    )
    return checkpoint_name(flat, PRODUCT).reshape(*x.shape[:-1], -1)


def _attention(
    model: Model, numerics: Numerics, queries: Array, keys: Array, values: Array, tables: tuple[Array, ...]
) -> Array:
    """Causal grouped-query attention: (B, T, H W), (B, T, K W) twice -> (B, T, H W)."""
    q = _rotate(_split(queries, model.heads), tables).astype(numerics.operands)
    k = _rotate(_split(keys, model.kv_heads), tables).astype(numerics.operands)
    v = _split(values, model.kv_heads).astype(numerics.operands)
    if numerics.attention == "product":
        return _product_attention(model, numerics, q, k, v).reshape(queries.shape)
    if numerics.attention == "causal-blocks":
        return blocked_attention(q, k, v, numerics.master).reshape(queries.shape)
    return fused_attention(q, k, v, numerics.attention).reshape(queries.shape)


def fused_attention(q: Array, k: Array, v: Array, attention: str) -> Array:
    """Causal attention as jax provides it: (B, T, H, W), (B, T, K, W) twice -> (B, T, H, W)."""
    implementation = "cudnn" if attention == "sdpa-cudnn" else "xla"
    return jax.nn.dot_product_attention(q, k, v, is_causal=True, implementation=implementation)


def _product_attention(model: Model, numerics: Numerics, q: Array, k: Array, v: Array) -> Array:
    """(B, T, H, W), (B, T, K, W) twice -> (B, T, H, W); the softmax in the master type."""
    batch, positions, _, width = q.shape
    highest = jax.lax.Precision.HIGHEST
    q = (q * width**-0.5).reshape(batch, positions, model.kv_heads, -1, width)
    scores = jnp.einsum("btkgw,bskw->bkgts", q, k, precision=highest).astype(numerics.master)
    causal = jnp.tri(positions, dtype=bool)
    weights = jax.nn.softmax(jnp.where(causal, scores, -jnp.inf), axis=-1).astype(numerics.operands)
    return jnp.einsum("bkgts,bskw->btkgw", weights, v, precision=highest)


def _rotate(heads: Array, tables: tuple[Array, ...]) -> Array:
    """Turn element i with element i + W/2 of each head; (B, T, H, W) with tables (T, W/2)."""
    cosine, sine = (table[:, None, :] for table in tables)
    first, second = jnp.split(heads.astype(cosine.dtype), 2, axis=-1)
    return jnp.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def _split(flat: Array, heads: int) -> Array:
    """(B, T, H W) -> (B, T, H, W)."""
    return flat.reshape(*flat.shape[:2], heads, -1)


def _rms_norm(x: Array, weight: Array, epsilon: float) -> Array:
    """In the weight's type, which is the master type."""
    x = x.astype(weight.dtype)
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + epsilon) * weight
