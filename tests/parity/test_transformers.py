"""The torch model with the same weights is a Llama of the transformers package: logits and gradients."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from workloads.hf_config import model_from_hf_config  # noqa: E402
from workloads.models.llama_torch import Llama, Numerics, loss_divisor  # noqa: E402
from workloads.parameters import initial_parameters  # noqa: E402
from workloads.shapes import parameter_count  # noqa: E402

LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}

LOGIT_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-4
"""transformers computes norms, softmax and rotary angles in float32 even where the model is float64."""

CONFIGS = {
    "plain": {},
    "grouped-query heads": {"num_key_value_heads": 2},
    "one key-value head": {"num_key_value_heads": 1},
    "frequency scaling": {"num_key_value_heads": 2, "rope_scaling": LLAMA3_SCALING},
    "tied head": {"num_key_value_heads": 4, "tie_word_embeddings": True},
    "wide heads": {"num_key_value_heads": 2, "head_dim": 24},
    "base and epsilon": {"rope_theta": 500000.0, "rms_norm_eps": 1e-3},
}


@pytest.mark.parametrize("attention", ["product", "sdpa"])
@pytest.mark.parametrize("name", CONFIGS)
def test_logits_and_gradients(tmp_path: Path, name: str, attention: str) -> None:
    theirs = _transformers_model(CONFIGS[name])
    path = tmp_path / "config.json"
    path.write_text(json.dumps(theirs.config.to_dict(), default=str))
    model = model_from_hf_config(path)
    weights = {key: torch.from_numpy(value).double() * 5 for key, value in initial_parameters(model, seed=1)}
    missing = theirs.load_state_dict(weights, strict=False).missing_keys
    assert missing == (["lm_head.weight"] if model.tied_head else [])
    theirs.tie_weights()
    ours = Llama(model, 20, Numerics(torch.float64, torch.float64, attention))
    ours.load_state_dict(weights)
    assert sum(p.numel() for p in ours.parameters()) == parameter_count(model)

    tokens = torch.randint(0, model.vocab_size, (3, 21), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    inputs, targets = tokens[:, :-1], tokens[:, 1:]
    their_logits = theirs(inputs.long()).logits
    assert _apart(ours.logits(inputs), their_logits) <= LOGIT_TOLERANCE

    (ours(inputs, targets) * loss_divisor(targets.numel()) / targets.numel()).backward()
    torch.nn.functional.cross_entropy(their_logits.flatten(0, 1), targets.flatten().long()).backward()
    their_gradients = {key: value.grad for key, value in theirs.named_parameters()}
    for key, value in ours.named_parameters():
        assert _apart(value.grad, their_gradients[key]) <= GRADIENT_TOLERANCE, key


def _apart(ours: "torch.Tensor", theirs: "torch.Tensor") -> float:
    """Largest difference, relative to the largest value."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


def _transformers_model(changes: dict) -> "torch.nn.Module":
    config = transformers.LlamaConfig(
        vocab_size=97,
        hidden_size=64,
        intermediate_size=80,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        attn_implementation="eager",
        **changes,
    )
    return transformers.LlamaForCausalLM(config).double()
