"""A workload's identity, and everything that is refused."""

import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from workloads.catalog import catalog_names, find_workload
from workloads.errors import WorkloadError
from workloads.parse import workload_from_table, workload_from_toml
from workloads.spec import Workload, canonical, canonical_json

SMOKE_TOML = Path(__file__).parents[2] / "workloads" / "catalog" / "smoke.toml"

PINNED = {
    "bytes-5m": "3cbb0551a5bf",
    "llama-124m": "0249efd937dd",
    "llama-124m-1k": "4c03e44d350e",
    "llama-3.1-8b-2k": "49ea9e58025d",
    "llama-3.1-8b-8k": "6dd67b2d0b42",
    "llama-3.2-1b-2k": "251aab0080e3",
    "llama-3.2-1b-2k-b16": "fa8b81e925c7",
    "llama-3.2-1b-8k": "f42696af49f2",
    "llama-tiny": "59fca3b1cb07",
    "smoke": "b7cc300865d5",
}
"""A digest that changes orphans every record of its workload. Never change one; add a workload instead."""


def test_digests_of_the_catalog_are_pinned() -> None:
    assert {name: find_workload(name).digest[:12] for name in catalog_names()} == PINNED


def test_fields_at_their_default_are_left_out() -> None:
    smoke = find_workload("smoke")
    assert "optimizer" not in canonical(smoke)
    assert "seed" not in canonical_json(smoke)


def test_name_and_path_are_no_mathematics() -> None:
    smoke = find_workload("smoke")
    elsewhere = replace(smoke, name="other", data=replace(smoke.data, path="/somewhere"))
    assert elsewhere.digest == smoke.digest
    assert "somewhere" not in canonical_json(elsewhere)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: replace(w, seed=1),
        lambda w: replace(w, global_batch=8),
        lambda w: replace(w, sequence_length=32),
        lambda w: replace(w, precision="bf16-mixed"),
        lambda w: replace(w, optimizer=replace(w.optimizer, epsilon=1e-7)),
        lambda w: replace(w, model=replace(w.model, norm_epsilon=1e-6)),
        lambda w: replace(w, data=replace(w.data, sha256="0" * 64)),
    ],
)
def test_every_part_of_the_mathematics_changes_the_digest(change) -> None:
    smoke = find_workload("smoke")
    assert change(smoke).digest != smoke.digest


def test_a_precision_shares_the_reference_of_its_workload() -> None:
    smoke = find_workload("smoke")
    assert replace(smoke, precision="bf16-mixed").trajectory_digest == smoke.trajectory_digest


def test_said_in_two_ways_it_is_one_workload() -> None:
    table = _table()
    table["model"]["head_dim"] = table["model"]["dim"] // table["model"]["heads"]
    assert workload_from_table(table, "test").digest == find_workload("smoke").digest


def _table() -> dict:
    return asdict(find_workload("smoke"))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("model.heads", 3, "model.heads 3 does not divide dim 64"),
        ("model.kv_heads", 3, "model.kv_heads 3 does not divide heads 4"),
        ("model.dim", -1, "model.dim is -1"),
        ("model.dim", 2**40, "model.dim is"),
        ("model.vocab_size", 100, "model.vocab_size 100 is below 256"),
        ("model.head_dim", 7, "model.head_dim 7 is odd"),
        ("model.norm_epsilon", 0.0, "model.norm_epsilon is 0.0"),
        ("model.layers", "2", "model.layers"),
        ("model.layers", 2.5, "model.layers"),
        ("model.tied_head", 1, "model.tied_head"),
        ("model.colour", 1, "model.colour"),
        ("optimizer.beta1", 1.0, "optimizer.beta1 is 1.0"),
        ("optimizer.learning_rate", float("nan"), "nan"),
        ("optimizer.warmup_steps", -1, "optimizer.warmup_steps is -1"),
        ("sequence_length", 0, "sequence_length is 0"),
        ("global_batch", True, "global_batch"),
        ("precision", "fp16", "precision"),
        ("seed", -1, "seed is -1"),
        ("data.kind", "web", "data.kind"),
        ("data.sha256", None, "data.sha256 is missing"),
        ("data.dtype", "uint16", "data.dtype is out of place"),
        ("model.layers", 2**24, "model.layers is 16777216"),
        ("model.init_std", 1e200, "model.init_std is 1e+200"),
        ("model.dim", 10**400, "model.dim is 1000"),
        ("name", "", "name is empty"),
        ("name", "x" * 101, "name has 101 characters"),
        ("name", "two\nlines", "name 'two\\nlines' holds unprintable characters"),
        ("name", "\u202eesrever", "name '\\u202eesrever' holds unprintable characters"),
    ],
)
def test_what_cannot_work_is_refused_by_name(path: str, value: object, said: str) -> None:
    table = _table()
    *parents, last = path.split(".")
    owner = table
    for parent in parents:
        owner = owner[parent]
    owner[last] = value
    with pytest.raises(WorkloadError) as caught:
        workload_from_table(table, "test")
    assert said in caught.value.message.lower()
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[model", "not TOML"),
        ("\x00", "not TOML"),
        ("\udcff", "not TOML"),
        ("name = 1", "name"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a." * 500_000 + "a = 1", "more than 64 dots in line 1"),
        ("\n" + "a." * 65 + "a = 1", "more than 64 dots in line 2"),
        ("seed = " + "9" * 5000, "4300 digits"),
        ("seed = 0x" + "f" * 5000, "4300 digits"),
        ("sequence_length = 1979-05-27", "JSON serializable"),
        ("x" * (2**20 + 1), "is larger than 1,048,576 bytes"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(WorkloadError) as caught:
        workload_from_toml(path)
    assert str(path) in caught.value.message
    assert said in caught.value.message


def test_dots_in_comments_are_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("# " + "." * 100 + "\n" + SMOKE_TOML.read_text())
    assert workload_from_toml(path).digest == find_workload("smoke").digest


def test_sizes_that_no_record_can_count_are_refused() -> None:
    """Each is allowed by itself; a token would need more than 2^63 operations."""
    table = _table()
    table["model"] |= {"dim": 2**24, "ffn_dim": 2**24, "layers": 2**16}
    with pytest.raises(WorkloadError, match="operations for a token"):
        workload_from_table(table, "test")


def test_a_file_name_that_is_no_text_becomes_a_name_that_is(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.toml")
    path.write_bytes(SMOKE_TOML.read_bytes())
    assert workload_from_toml(path).name == "caf?"
    path = tmp_path / "two\nlines.toml"
    path.write_bytes(SMOKE_TOML.read_bytes())
    with pytest.raises(WorkloadError, match="holds unprintable"):
        workload_from_toml(path)


def test_unknown_workload_has_a_suggestion() -> None:
    with pytest.raises(WorkloadError) as caught:
        find_workload("bytes5m")
    assert "bytes-5m" in caught.value.hint


def test_a_workload_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SMOKE_TOML.read_text())
    mine = find_workload(str(path))
    assert isinstance(mine, Workload)
    assert mine.name == "mine"
    assert mine.digest == find_workload("smoke").digest
