"""A Hugging Face ``config.json`` of the Llama family as a `Model`, without the transformers package.

Whatever the file asks for and we do not implement is refused by name: a silently different model
would be a different workload.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as shown
from typing import Any

from pydantic import TypeAdapter, ValidationError

from workloads.errors import WorkloadError
from workloads.files import read_text
from workloads.parse import check_model, normalised
from workloads.spec import Model

_MODEL_TYPE = "llama"
_MODEL = TypeAdapter(Model)

_RENAMED = {
    "hidden_size": "dim",
    "num_hidden_layers": "layers",
    "num_attention_heads": "heads",
    "num_key_value_heads": "kv_heads",
    "intermediate_size": "ffn_dim",
    "vocab_size": "vocab_size",
    "tie_word_embeddings": "tied_head",
    "head_dim": "head_dim",
    "rms_norm_eps": "norm_epsilon",
    "initializer_range": "init_std",
}
"""Key of the file -> field of `Model`. Rotary keys are handled apart."""

_MUST_BE: dict[str, Any] = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "attention_dropout": 0.0,
    "pretraining_tp": 1,
}
"""Keys that change the mathematics, with the only value we implement (also the default when absent)."""

_IRRELEVANT = {
    "_name_or_path", "architectures", "auto_map", "bos_token_id", "dtype", "eos_token_id", "id2label", "label2id",
    "max_position_embeddings", "model_type", "output_attentions", "output_hidden_states", "pad_token_id",
    "return_dict", "torch_dtype", "transformers_version", "use_cache", "rope_theta",
    "rope_scaling", "rope_parameters", "chunk_size_feed_forward", "is_encoder_decoder", "problem_type",
}  # fmt: skip
"""Keys that do not change a training step of fixed sequence length, or that are read elsewhere here."""

_FAMILY_NORM_EPSILON = 1e-6
"""What transformers' LlamaConfig takes where the file is silent."""

_SCALING = {
    "factor": "factor",
    "low_freq_factor": "low_frequency_factor",
    "high_freq_factor": "high_frequency_factor",
    "original_max_position_embeddings": "original_context",
}


def model_from_hf_config(path: Path) -> Model:
    """The model that a ``config.json`` describes.

    Raises:
        WorkloadError: unreadable, not of the Llama family, or asks for something not implemented (named).
    """
    table = _read(path)
    if table.get("model_type") != _MODEL_TYPE:
        raise WorkloadError(
            f"{path}: model_type is {shown(table.get('model_type'))}", f"only {_MODEL_TYPE!r} is implemented"
        )
    _refuse_unknown(path, table)
    renamed = {_RENAMED[key]: value for key, value in table.items() if key in _RENAMED and value is not None}
    renamed.setdefault("kv_heads", renamed.get("heads"))
    renamed.setdefault("norm_epsilon", _FAMILY_NORM_EPSILON)
    return _validated(path, renamed | _rotary(path, table))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        table = json.loads(read_text(path))
    except OSError as error:
        raise WorkloadError(f"{path}: {error.strerror or error}", "give the model's config.json") from None
    except (ValueError, RecursionError) as error:
        raise WorkloadError(f"{path}: not JSON: {error}", "give the model's config.json") from None
    if not isinstance(table, dict):
        raise WorkloadError(f"{path}: not a JSON object", "give the model's config.json")
    return table


def _refuse_unknown(path: Path, table: Mapping[str, Any]) -> None:
    for key, needed in _MUST_BE.items():
        if table.get(key, needed) != needed:
            raise WorkloadError(f"{path}: {key} = {shown(table[key])} is not implemented", f"only {needed!r} is")
    for key, value in table.items():
        known = key in _RENAMED or key in _MUST_BE or key in _IRRELEVANT
        if not known and value not in (None, False):
            what = f"{key} = {shown(value)} is not implemented"
            raise WorkloadError(f"{path}: {what}", "remove it if it does not matter here")


def _rotary(path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """Base and scaling, from ``rope_parameters`` (transformers 5) or ``rope_theta`` and ``rope_scaling``."""
    given = table.get("rope_parameters") or table.get("rope_scaling") or {}
    if not isinstance(given, dict):
        raise WorkloadError(f"{path}: the rotary parameters are not a table", "give a complete Llama config.json")
    parameters = dict(given)
    base = parameters.pop("rope_theta", table.get("rope_theta", 10000.0))
    kind = parameters.pop("rope_type", parameters.pop("type", "default"))
    if kind == "default" and not parameters:
        return {"rotary_base": base}
    if kind == "default":
        raise WorkloadError(f"{path}: rotary {', '.join(parameters)} is not implemented", "known: rope_theta")
    if kind != "llama3":
        raise WorkloadError(f"{path}: rope_type {shown(kind)} is not implemented", "known: default, llama3")
    if parameters.keys() != _SCALING.keys():
        odd = ", ".join(sorted(parameters.keys() ^ _SCALING.keys()))
        raise WorkloadError(
            f"{path}: rope_type llama3 with unexpected or missing {odd}", f"it has {', '.join(_SCALING)}"
        )
    scaling = {_SCALING[key]: value for key, value in parameters.items()}
    return {"rotary_base": base, "rotary_scaling": scaling}


def _validated(path: Path, fields: dict[str, Any]) -> Model:
    try:
        model = _MODEL.validate_json(json.dumps(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WorkloadError(f"{path}: {where}: {first['msg'].lower()}", "give a complete Llama config.json") from None
    check_model(model, str(path))
    return normalised(model)
