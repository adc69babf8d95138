"""A Llama in one plain file, in the manner of nanoGPT: fused projections, scaled_dot_product_attention, one compile."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backends.peers.torch_loop import TorchLoop, Weights
from workloads.rotary import rotary_tables
from workloads.shapes import EMBEDDING, FINAL_NORM, HEAD, layer_prefix
from workloads.spec import Model


class OneFileSession(TorchLoop):
    """Query, key and value are one product, gate and up another."""

    def build(self, model: Model, sequence_length: int, weights: Weights) -> nn.Module:
        """See `TorchLoop.build`."""
        built = _Llama(model, sequence_length)
        built.load_state_dict(_fused(model, weights), strict=True)
        return built

    def loss(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """Inside the compiled model."""
        loss: Tensor = model(inputs, targets)
        return loss


def _fused(model: Model, weights: Weights) -> Weights:
    """The weights under this module's names, those that it multiplies at once put together."""
    head = weights[EMBEDDING] if model.tied_head else weights[HEAD]
    found = {"embedding.weight": weights[EMBEDDING], "norm.weight": weights[FINAL_NORM], "head.weight": head}
    for layer in range(model.layers):
        theirs, ours = layer_prefix(layer), f"blocks.{layer}."
        parts = [weights[f"{theirs}self_attn.{role}_proj.weight"] for role in "qkv"]
        found[f"{ours}projection.weight"] = torch.cat(parts)
        found[f"{ours}output.weight"] = weights[f"{theirs}self_attn.o_proj.weight"]
        parts = [weights[f"{theirs}mlp.{role}_proj.weight"] for role in ("gate", "up")]
        found[f"{ours}widen.weight"] = torch.cat(parts)
        found[f"{ours}narrow.weight"] = weights[f"{theirs}mlp.down_proj.weight"]
        found[f"{ours}norm1.weight"] = weights[f"{theirs}input_layernorm.weight"]
        found[f"{ours}norm2.weight"] = weights[f"{theirs}post_attention_layernorm.weight"]
    return found


class _Block(nn.Module):
    def __init__(self, model: Model) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.width = model.heads, model.kv_heads, model.head_width
        inner = model.heads * model.head_width
        self.norm1 = nn.RMSNorm(model.dim, eps=model.norm_epsilon)
        self.norm2 = nn.RMSNorm(model.dim, eps=model.norm_epsilon)
        self.projection = nn.Linear(model.dim, inner + 2 * model.kv_heads * model.head_width, bias=False)
        self.output = nn.Linear(inner, model.dim, bias=False)
        self.widen = nn.Linear(model.dim, 2 * model.ffn_dim, bias=False)
        self.narrow = nn.Linear(model.ffn_dim, model.dim, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        x = x + self.output(self.attend(self.projection(self.norm1(x)), cosine, sine))
        gate, up = self.widen(self.norm2(x)).chunk(2, dim=-1)
        return x + self.narrow(F.silu(gate) * up)

    def attend(self, projected: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        sizes = [self.heads * self.width, self.kv_heads * self.width, self.kv_heads * self.width]
        q, k, v = (part.unflatten(-1, (-1, self.width)).transpose(1, 2) for part in projected.split(sizes, dim=-1))
        q, k = _turned(q, cosine, sine).to(v.dtype), _turned(k, cosine, sine).to(v.dtype)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
        return mixed.transpose(1, 2).flatten(2)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


class _Llama(nn.Module):
    def __init__(self, model: Model, sequence_length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(model.vocab_size, model.dim)
        self.blocks = nn.ModuleList(_Block(model) for _ in range(model.layers))
        self.norm = nn.RMSNorm(model.dim, eps=model.norm_epsilon)
        self.head = nn.Linear(model.dim, model.vocab_size, bias=False)
        if model.tied_head:
            self.head.weight = self.embedding.weight
        for name, table in zip(("cosine", "sine"), rotary_tables(model, sequence_length), strict=True):
            self.register_buffer(name, torch.tensor(table, dtype=torch.float32), persistent=False)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        x = self.embedding(inputs)
        for block in self.blocks:
            x = block(x, self.cosine, self.sine)
        return F.cross_entropy(self.head(self.norm(x)).float().flatten(0, 1), targets.flatten())
