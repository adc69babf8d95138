"""torchtitan's Llama 3, compiled block by block as torchtitan does."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchtitan.models.llama3.model.args import RoPEScalingArgs, TransformerModelArgs
from torchtitan.models.llama3.model.model import Transformer
from torchtitan.models.llama3.model.state_dict_adapter import Llama3StateDictAdapter

from backends.errors import BackendError
from backends.peers.torch_loop import TorchLoop, Weights
from workloads.spec import Model


class TorchtitanSession(TorchLoop):
    """`Transformer`, its weights converted by torchtitan's own adapter."""

    def build(self, model: Model, sequence_length: int, weights: Weights) -> nn.Module:
        """See `TorchLoop.build`.

        Raises:
            BackendError: heads whose width is not dim / heads, which this model does not know.
        """
        if model.head_width * model.heads != model.dim:
            raise BackendError("torchtitan's Llama has heads of dim / heads only", "take another workload")
        arguments = _arguments(model, sequence_length)
        built = Transformer(arguments)
        built.init_weights()
        if model.tied_head:
            weights = weights | {"lm_head.weight": weights["model.embed_tokens.weight"]}
        built.load_state_dict(Llama3StateDictAdapter(arguments, None).from_hf(weights), strict=True)
        if model.tied_head:
            built.output.weight = built.tok_embeddings.weight
        return built

    def compiled(self, model: nn.Module) -> nn.Module:
        """Each block a graph of its own; embedding, norm and head stay eager."""
        for block in model.layers.values():
            block.compile(fullgraph=True)
        return model

    def loss(self, model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        """In float32, compiled by itself."""
        loss: Tensor = _cross_entropy(model(inputs), targets)
        return loss


@torch.compile
def _cross_entropy(scores: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(scores.flatten(0, 1).float(), targets.flatten())


def _arguments(model: Model, sequence_length: int) -> TransformerModelArgs:
    """A workload's model in torchtitan's words; without scaling of the rotary embedding, a scaling by 1."""
    scaling = model.rotary_scaling
    return TransformerModelArgs(
        dim=model.dim,
        n_layers=model.layers,
        n_heads=model.heads,
        n_kv_heads=model.kv_heads,
        vocab_size=model.vocab_size,
        # It rounds its own width up to a multiple: of ours, one is enough.
        multiple_of=model.ffn_dim,
        ffn_dim_multiplier=model.ffn_dim / int(8 * model.dim / 3),
        norm_eps=model.norm_epsilon,
        rope_theta=model.rotary_base,
        rope_scaling_args=RoPEScalingArgs(
            scaling_factor=scaling.factor if scaling else 1.0,
            low_freq_factor=scaling.low_frequency_factor if scaling else 1.0,
            high_freq_factor=scaling.high_frequency_factor if scaling else 4.0,
            original_max_position_embeddings=scaling.original_context if scaling else 8192,
        ),
        max_seq_len=sequence_length,
    )
