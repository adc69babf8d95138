"""The decoder in torch, for any device: one eager-and-compilable module whose parameter names are the shared ones.

Precision is explicit: `Numerics` says what the master values and the operands of matrix products are
held in, and casts stand where they happen. No autocast.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from workloads.models.causal_blocks_torch import blocked_attention
from workloads.models.cross_entropy_torch import closed_form_cross_entropy
from workloads.models.embedding_torch import embedded
from workloads.models.norm_torch import rms_norm
from workloads.models.product_torch import PRODUCT_KERNELS
from workloads.precision import PrecisionPolicy
from workloads.rotary import rotary_tables
from workloads.spec import Model

KERNELS = {
    "sdpa-cudnn": [SDPBackend.CUDNN_ATTENTION],
    "sdpa-flash": [SDPBackend.FLASH_ATTENTION],
    "sdpa-efficient": [SDPBackend.EFFICIENT_ATTENTION],
    "sdpa-cudnn-first": [
        SDPBackend.CUDNN_ATTENTION,
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.MATH,
    ],
}
"""Attentions that name torch's kernels, in order; where none of them can run, the run fails and says so."""
ATTENTIONS = ("product", "causal-blocks", "sdpa", "sdpa-master", "sdpa-contiguous", "sdpa-repeated", *KERNELS)
LOSSES = ("cross-entropy", "closed-form", "logsumexp", "masked")

Run = Callable[..., Tensor]
"""How a part of the model is computed: takes the part and its inputs, see `directly` and `recomputed`."""


@dataclass(frozen=True)
class Numerics:
    """A precision policy in torch's types, and how attention is computed (a recipe's choice)."""

    master: torch.dtype
    operands: torch.dtype
    attention: str
    """``product`` (two matrix products and a softmax), ``causal-blocks`` (the same of some queries at a time with the
    keys up to them, which leaves up to half the work out), ``sdpa`` (the fused kernel on the operands' type),
    ``sdpa-master`` (the fused kernel on the master type), ``sdpa-contiguous`` (as ``sdpa``, each head copied to
    adjacent memory first: Neuron's compiler refuses a transposed view), ``sdpa-repeated`` (as ``sdpa``, keys and
    values repeated for each query head: CUDA's fused fp32 kernel knows no groups) or one of `KERNELS`."""
    rounded_to: torch.dtype | None = None
    product_kernel: str = "matmul"
    """One of `PRODUCT_KERNELS`."""

    @staticmethod
    def of(policy: PrecisionPolicy, attention: str, product_kernel: str = "matmul") -> "Numerics":
        """The policy's names as torch types."""
        rounded_to = getattr(torch, policy.rounded_to) if policy.rounded_to else None
        master, operands = getattr(torch, policy.master), getattr(torch, policy.operands)
        return Numerics(master, operands, attention, rounded_to, product_kernel)

    def rounded(self, x: Tensor) -> Tensor:
        """Emulation of a narrower type: the value it would hold, and gradients likewise."""
        return x if self.rounded_to is None else _Round.apply(x, self.rounded_to)

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        """X W^T, W (out, in), with both operands in the operands' type."""
        x, weight = self.rounded(x.to(self.operands)), self.rounded(weight.to(self.operands))
        return self.rounded(self.product(x, weight))

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        """X W^T by the kernel that was chosen, of operands of one type."""
        return PRODUCT_KERNELS[self.product_kernel](x, weight)


class _Round(torch.autograd.Function):
    """Rounds values forward and gradients backward to a narrower type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, narrow: torch.dtype) -> Tensor:
        ctx.narrow = narrow
        return x.to(narrow).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient.to(ctx.narrow).to(gradient.dtype), None


class Linear(nn.Module):
    """y = x W^T with W (out, in) multiplied in the operands' type, and held in the master type unless narrowed."""

    def __init__(self, inputs: int, outputs: int, numerics: Numerics) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=numerics.master))
        self.numerics = numerics

    def forward(self, x: Tensor) -> Tensor:
        return self.numerics.linear(x, self.weight)


class Norm(nn.Module):
    """Root-mean-square norm in the master type, for products: its result is of the operands' type."""

    def __init__(self, dim: int, epsilon: float, numerics: Numerics) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim, dtype=numerics.master))
        self.epsilon, self.operands = epsilon, numerics.operands

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.epsilon).to(self.operands)


class Attention(nn.Module):
    """Causal grouped-query attention with rotary embedding in the master type."""

    def __init__(self, model: Model, numerics: Numerics) -> None:
        super().__init__()
        query, key_value = model.heads * model.head_width, model.kv_heads * model.head_width
        self.q_proj = Linear(model.dim, query, numerics)
        self.k_proj = Linear(model.dim, key_value, numerics)
        self.v_proj = Linear(model.dim, key_value, numerics)
        self.o_proj = Linear(query, model.dim, numerics)
        self.width, self.group = model.head_width, model.heads // model.kv_heads
        self.numerics = numerics

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        kernel_type = self.numerics.master if self.numerics.attention == "sdpa-master" else self.numerics.operands
        q = rotate(self._heads(self.q_proj(x)), cosine, sine, kernel_type)
        k = rotate(self._heads(self.k_proj(x)), cosine, sine, kernel_type)
        v = self._heads(self.v_proj(x)).to(kernel_type)
        if self.numerics.attention == "product":
            mixed = product_attention(q, k, v, self.group, self.numerics.master)
        elif self.numerics.attention == "causal-blocks":
            mixed = blocked_attention(q, k, v, self.numerics.master)
        else:
            mixed = fused_attention(q, k, v, self.group, self.numerics.attention)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))

    def _heads(self, flat: Tensor) -> Tensor:
        """(B, T, H W) -> (B, H, T, W)."""
        heads = flat.unflatten(-1, (-1, self.width)).transpose(1, 2)
        return heads.contiguous() if self.numerics.attention == "sdpa-contiguous" else heads


def rotate(heads: Tensor, cosine: Tensor, sine: Tensor, result: torch.dtype) -> Tensor:
    """Turn element i with element i + W/2 of each head, in the tables' type: (B, H, T, W) with tables (T, W/2).

    Gives the type ``result``, to each half before they are joined: torch.compile would write a joint one as it comes.
    """
    first, second = (half.to(cosine.dtype) for half in heads.chunk(2, dim=-1))
    turned = (first * cosine - second * sine, second * cosine + first * sine)
    return torch.cat([half.to(result) for half in turned], dim=-1)


def fused_attention(q: Tensor, k: Tensor, v: Tensor, group: int, attention: str) -> Tensor:
    """Causal attention by a kernel of torch's; (B, H, T, W) and (B, K, T, W), of the inputs' type.

    Raises:
        RuntimeError: the kernel that ``attention`` insists on cannot run here.
    """
    if attention == "sdpa-repeated" and group > 1:
        k, v, group = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1), 1
    with named_kernels(attention):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=group > 1)


def named_kernels(attention: str) -> AbstractContextManager[None]:
    """Within it torch may choose those kernels alone, the first that can, if ``attention`` names some."""
    return sdpa_kernel(KERNELS[attention], set_priority=True) if attention in KERNELS else nullcontext()


def chosen_kernel(q: Tensor, k: Tensor, v: Tensor, group: int, attention: str) -> str:
    """Which kernel `fused_attention` gets for such tensors, as torch names it, in small letters; computes nothing."""
    if attention == "sdpa-repeated":
        k, v, group = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1), 1
    with named_kernels(attention):
        choice = torch._fused_sdp_choice(q, k, v, None, 0.0, True, enable_gqa=group > 1)
    return str(SDPBackend(choice).name).lower().replace("_", " ")


def product_attention(q: Tensor, k: Tensor, v: Tensor, group: int, master: torch.dtype) -> Tensor:
    """Attention as two batched products around a softmax in the master type; (B, H, T, W) and (B, K, T, W)."""
    q = q * (q.shape[-1] ** -0.5)
    k, v = (part.repeat_interleave(group, dim=1) if group > 1 else part for part in (k, v))
    positions = q.shape[-2]
    causal = torch.ones(positions, positions, dtype=torch.bool, device=q.device).tril()
    scores = (q @ k.transpose(-1, -2)).to(master).masked_fill(~causal, float("-inf"))
    return scores.softmax(-1).to(v.dtype) @ v


class FeedForward(nn.Module):
    """SwiGLU; ``between`` runs what lies between its products."""

    def __init__(self, model: Model, numerics: Numerics, between: Run) -> None:
        super().__init__()
        self.between = between
        self.gate_proj = Linear(model.dim, model.ffn_dim, numerics)
        self.up_proj = Linear(model.dim, model.ffn_dim, numerics)
        self.down_proj = Linear(model.ffn_dim, model.dim, numerics)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(self.between(gated, self.gate_proj(x), self.up_proj(x)))


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """Elementwise, of one shape and type."""
    return F.silu(gate) * up


class Block(nn.Module):
    """One decoder layer; ``between`` runs what lies between products and attention."""

    def __init__(self, model: Model, numerics: Numerics, between: Run) -> None:
        super().__init__()
        self.between = between
        self.input_layernorm = Norm(model.dim, model.norm_epsilon, numerics)
        self.self_attn = Attention(model, numerics)
        self.post_attention_layernorm = Norm(model.dim, model.norm_epsilon, numerics)
        self.mlp = FeedForward(model, numerics, between)

    def forward(self, stream: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        stream = stream + self.self_attn(self.between(self.input_layernorm, stream), cosine, sine)
        return stream + self.mlp(self.between(self.post_attention_layernorm, stream))


class Decoder(nn.Module):
    """Embedding, layers and final norm."""

    def __init__(self, model: Model, numerics: Numerics, between: Run) -> None:
        super().__init__()
        self.embed_tokens = Embedding(model, numerics)
        self.layers = nn.ModuleList(Block(model, numerics, between) for _ in range(model.layers))
        self.norm = Norm(model.dim, model.norm_epsilon, numerics)


class Embedding(nn.Module):
    """The look-up table, (V, D) in the master type."""

    def __init__(self, model: Model, numerics: Numerics) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(model.vocab_size, model.dim, dtype=numerics.master))

    def forward(self, tokens: Tensor) -> Tensor:
        return embedded(tokens, self.weight)


class Tail(nn.Module):
    """Final norm, scores and cross-entropy; its weights are given, so that it runs on any part of the tokens.

    ``loss`` names the form of one mathematics: ``cross-entropy`` (torch's own), ``closed-form`` (its gradient written
    out), ``logsumexp`` (less the target's score, which keeps no log-softmax) or ``masked`` (the same without a gather,
    which some compilers get wrong).
    """

    def __init__(self, epsilon: float, numerics: Numerics, loss: str) -> None:
        super().__init__()
        self.epsilon, self.numerics, self.loss = epsilon, numerics, loss

    def forward(self, stream: Tensor, targets: Tensor, norm: Tensor, head: Tensor) -> Tensor:
        """Summed cross-entropy in nats, a scalar of the master type: (N, D), int32 (N), (D) and (V, D)."""
        scores = self.numerics.linear(rms_norm(stream, norm, self.epsilon), head)
        if self.loss == "closed-form":
            return closed_form_cross_entropy(scores, targets, self.numerics.master)
        scores = scores.to(self.numerics.master)
        if self.loss == "cross-entropy":
            return F.cross_entropy(scores, targets.long(), reduction="sum")
        if self.loss == "masked":
            places = torch.arange(scores.shape[-1], dtype=targets.dtype, device=scores.device)
            chosen = torch.where(places == targets[:, None], scores, 0.0).sum(-1)
        else:
            chosen = scores.gather(-1, targets.long()[:, None])[:, 0]
        return (scores.logsumexp(-1) - chosen).sum()


class _InParts(torch.autograd.Function):
    """A tail part by part: the gradients of each are taken at once, so that the scores of one part exist at a time."""

    @staticmethod
    def forward(
        ctx: Any, tail: nn.Module, tokens: int, divisor: int, stream: Tensor, targets: Tensor, *weights: Tensor
    ) -> Tensor:
        loss = torch.zeros((), dtype=weights[0].dtype, device=stream.device)
        of_stream, of_weights = [], [torch.zeros_like(weight) for weight in weights]
        for part, wanted in zip(stream.split(tokens), targets.split(tokens), strict=True):
            leaves = [leaf.detach().requires_grad_() for leaf in (part, *weights)]
            with torch.enable_grad():
                of_part = tail(leaves[0], wanted, *leaves[1:]) / divisor
            first, *others = torch.autograd.grad(of_part, leaves)
            of_stream.append(first)
            torch._foreach_add_(of_weights, others)
            loss += of_part.detach()
        ctx.save_for_backward(torch.cat(of_stream), *of_weights)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        of_stream, *of_weights = (saved * gradient for saved in ctx.saved_tensors)
        return None, None, None, of_stream, None, *of_weights


def loss_divisor(tokens: int) -> int:
    """The largest power of two that is at most the number of tokens.

    Gradients are scaled by a power of two alone before they are propagated: that is exact in every type, and a
    compiler of Neuron's returned wrong gradients for other scales (torch-neuronx 2.12.3, third-party report, 2026-08).
    """
    return int(2 ** (tokens.bit_length() - 1))


def directly(part: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """What the part computes."""
    return part(*inputs)


def recomputed(part: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """What the part computes, in the backward pass again instead of kept.

    Eager, the next product still keeps the result that it multiplies; compiled, that is computed again too.
    """
    return checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)


class Llama(nn.Module):
    """The whole model; ``forward`` gives the loss of one micro-batch.

    Parameters are uninitialised until the caller copies them in (names of workloads/shapes.py).
    """

    recomputed: Run = staticmethod(recomputed)
    """Of a whole layer; to be replaced where a device has a checkpoint of its own."""

    def __init__(
        self,
        model: Model,
        sequence_length: int,
        numerics: Numerics,
        *,
        rematerialise: bool | Literal["between-products"] = False,
        loss: str = "cross-entropy",
        loss_part_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.model = Decoder(model, numerics, recomputed if rematerialise == "between-products" else directly)
        self.lm_head = None if model.tied_head else Linear(model.dim, model.vocab_size, numerics)
        self.tail = Tail(model.norm_epsilon, numerics, loss)
        self.shape, self.sequence_length, self.numerics = model, sequence_length, numerics
        self.rematerialise, self.loss_part_tokens = rematerialise, loss_part_tokens
        for name in ("cosine", "sine"):
            table = torch.empty(sequence_length, model.head_width // 2, dtype=numerics.master)
            self.register_buffer(name, table, persistent=False)
        self.fill_tables()

    def fill_tables(self) -> None:
        """Compute the rotary tables; to be called again after memory was given to a model built without."""
        for own, table in zip((self.cosine, self.sine), rotary_tables(self.shape, self.sequence_length), strict=True):
            own.copy_(torch.from_numpy(table).to(own.dtype))

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of int32 tokens (B, T) twice, summed and divided by `loss_divisor`; of the master type.

        That is the mean, in nats, where the number of tokens is a power of two.
        """
        stream, wanted = self.stream(inputs).flatten(0, 1), targets.flatten()
        divisor, weights = loss_divisor(wanted.numel()), (self.model.norm.weight, self.head_weight)
        if self.loss_part_tokens is None:
            return self.tail(stream, wanted, *weights) / divisor
        return _InParts.apply(self.tail, self.loss_part_tokens, divisor, stream, wanted, *weights)

    @property
    def head_weight(self) -> Tensor:
        """(V, D)."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def logits(self, inputs: Tensor) -> Tensor:
        """Scores of the next token (B, T, V) in the operands' type."""
        return self.numerics.linear(self.model.norm(self.stream(inputs)), self.head_weight)

    def stream(self, inputs: Tensor) -> Tensor:
        """What the layers make of int32 tokens (B, T): (B, T, D) before the final norm."""
        stream = self.model.embed_tokens(inputs)
        for block in self.model.layers:
            stream = self._run(block, stream)
        return stream

    def _run(self, block: nn.Module, stream: Tensor) -> Tensor:
        if self.rematerialise is True:
            return self.recomputed(block, stream, self.cosine, self.sine)
        return block(stream, self.cosine, self.sine)
