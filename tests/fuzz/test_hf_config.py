"""Hugging Face configurations: the Llama family is one of many, and files are written by hand."""

import json
from dataclasses import replace
from pathlib import Path

from fuzz.inputs import fuzzed, mutated_bytes, mutated_table
from fuzz.tally import taken
from fuzz.test_workload_toml import require_usable
from hypothesis import given

from workloads.catalog import find_workload
from workloads.errors import WorkloadError
from workloads.hf_config import model_from_hf_config

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_act": "silu",
    "hidden_size": 256,
    "initializer_range": 0.02,
    "intermediate_size": 512,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 8,
    "num_hidden_layers": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
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
    "vocab_size": 8192,
}
TOKENS = (
    b"{",
    b"}",
    b"[" * 500,
    b'"',
    b":",
    b",",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"9" * 400,
    b"null",
    b"0",
    b"\\ud800",
)
TOKENS += (b'"model_type": "gpt2",', b'"sliding_window": 1,', b'"num_attention_heads": 0,', b"\x00", b"\xff", b"-")


def read(path: Path, parser: str) -> None:
    """Refused, or a model that a workload can have."""
    model = taken(parser, lambda: model_from_hf_config(path), WorkloadError, str(path))
    if model is not None:
        require_usable(replace(find_workload("llama-tiny"), model=model))


@fuzzed(400)
@given(content=mutated_bytes(json.dumps(CONFIG).encode(), TOKENS))
def test_bytes(content: bytes, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_bytes(content)
    read(path, "config.json, bytes")


@fuzzed(400)
@given(table=mutated_table(CONFIG))
def test_structure(table: dict, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "config.json"
    path.write_text(json.dumps(table))
    read(path, "config.json, structure")
