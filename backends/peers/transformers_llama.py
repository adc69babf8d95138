"""Hugging Face transformers' Llama under torch.compile."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from backends.peers.torch_loop import TorchLoop, Weights, tensors_of
from workloads.spec import Model


class TransformersSession(TorchLoop):
    """The model as `LlamaForCausalLM` makes it, its attention left to scaled_dot_product_attention."""

    def build(self, model: Model, sequence_length: int, weights: Weights) -> nn.Module:
        """See `TorchLoop.build`."""
        built = LlamaForCausalLM(llama_config(model, sequence_length))
        tensors_of(built, weights, tied=model.tied_head)
        return built

    def loss(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """In float32, as the model's own loss; that one shifts the labels, which are shifted already."""
        scores = model(input_ids=inputs, use_cache=False).logits
        return F.cross_entropy(scores.float().flatten(0, 1), targets.flatten())


def llama_config(model: Model, sequence_length: int) -> LlamaConfig:
    """A workload's model in transformers' words."""
    wanted: dict[str, Any] = {
        "hidden_size": model.dim,
        "num_hidden_layers": model.layers,
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_width,
        "intermediate_size": model.ffn_dim,
        "vocab_size": model.vocab_size,
        "tie_word_embeddings": model.tied_head,
        "rope_theta": model.rotary_base,
        "rms_norm_eps": model.norm_epsilon,
        "max_position_embeddings": sequence_length,
        "attn_implementation": "sdpa",
    }
    if model.rotary_scaling is not None:
        scaling = model.rotary_scaling
        wanted["rope_scaling"] = {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low_frequency_factor,
            "high_freq_factor": scaling.high_frequency_factor,
            "original_max_position_embeddings": scaling.original_context,
        }
    return LlamaConfig(**wanted)
