"""Hugging Face configurations: the published ones are the catalog's models, what we lack is refused by name."""

import json
from pathlib import Path

import pytest

from workloads.catalog import find_workload
from workloads.errors import WorkloadError
from workloads.hf_config import model_from_hf_config

LLAMA_32_1B = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "initializer_range": 0.02,
    "intermediate_size": 8192,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 16,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.45.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}
"""The published config.json of Llama-3.2-1B."""


def _write(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({key: value for key, value in (LLAMA_32_1B | changes).items() if value != "absent"}))
    return path


def test_the_published_file_is_the_catalog_model(tmp_path: Path) -> None:
    assert model_from_hf_config(_write(tmp_path)) == find_workload("llama-3.2-1b-2k").model


def test_the_newer_spelling_is_the_same_model(tmp_path: Path) -> None:
    rope = LLAMA_32_1B["rope_scaling"] | {"rope_theta": 500000.0}
    path = _write(tmp_path, rope_scaling="absent", rope_theta="absent", rope_parameters=rope)
    assert model_from_hf_config(path) == find_workload("llama-3.2-1b-2k").model


def test_defaults_of_the_family(tmp_path: Path) -> None:
    model = model_from_hf_config(_write(tmp_path, rope_scaling=None, num_key_value_heads="absent", head_dim=None))
    assert model.rotary_scaling is None
    assert model.kv_heads == model.heads
    assert model_from_hf_config(_write(tmp_path, rms_norm_eps="absent")).norm_epsilon == 1e-6


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "mistral"}, "model_type"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"attention_dropout": 0.1}, "attention_dropout"),
        ({"sliding_window": 4096}, "sliding_window"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "yarn"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}, "low_freq_factor"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"rope_scaling": "linear"}, "rotary parameters"),
        ({"hidden_size": "2048"}, "dim"),
        ({"hidden_size": "absent"}, "dim"),
        ({"hidden_size": 10**400}, "model.dim"),
        ({"num_attention_heads": 0, "num_key_value_heads": 0}, "model.heads is 0"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7, "head_dim": "absent"}, "7 does not divide dim 2048"),
        ({"num_key_value_heads": 5}, "5 does not divide heads 32"),
        ({"num_hidden_layers": -1}, "model.layers is -1"),
        ({"rms_norm_eps": float("nan")}, "norm_epsilon is nan"),
        ({"quantization_config": {"deep": [[[[[[[[["x" * 10**5]]]]]]]]]}}, "quantization_config"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(tmp_path: Path, changes: dict, named: str) -> None:
    with pytest.raises(WorkloadError, match=named):
        model_from_hf_config(_write(tmp_path, **changes))


GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257}


def test_another_family_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(GPT2))
    with pytest.raises(WorkloadError, match="model_type is 'gpt2'") as caught:
        model_from_hf_config(path)
    assert "llama" in caught.value.hint


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, "null", " " * 2**20 + "{}", "9" * 5000])
def test_broken_files(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(WorkloadError):
        model_from_hf_config(path)
    with pytest.raises(WorkloadError):
        model_from_hf_config(tmp_path / "none.json")
