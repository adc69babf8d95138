"""Batches: the same everywhere, fresh every step; token files; the synthetic stream."""

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workloads import synthetic
from workloads.catalog import find_workload
from workloads.corpora import corpus_bytes
from workloads.data import batch_source
from workloads.errors import WorkloadError
from workloads.spec import Data
from workloads.token_file import token_file_data

SMOKE = find_workload("smoke")
LLMC_HEADER = np.array([20240520, 1, 500] + [0] * 253, np.int32).tobytes()


def test_a_batch_is_a_pure_function_of_workload_and_step() -> None:
    one, other = batch_source(SMOKE), batch_source(SMOKE)
    assert np.array_equal(one(3).inputs, other(3).inputs)
    assert not np.array_equal(one(3).inputs, one(4).inputs)
    assert not np.array_equal(one(3).inputs, batch_source(replace(SMOKE, seed=1))(3).inputs)


def test_targets_are_the_next_tokens() -> None:
    batch = batch_source(SMOKE)(0)
    assert batch.inputs.dtype == batch.targets.dtype == np.int32
    assert batch.inputs.shape == (SMOKE.global_batch, SMOKE.sequence_length)
    assert np.array_equal(batch.inputs[:, 1:], batch.targets[:, :-1])


def test_the_text_is_english_and_unaltered() -> None:
    text = corpus_bytes(SMOKE.data.name or "", SMOKE.data.sha256 or "").tobytes().decode("ascii")
    assert text.startswith("In the beginning God created the heaven and the earth.\n")
    assert len(text) == 4_137_849
    with pytest.raises(WorkloadError, match="sha256"):
        corpus_bytes("king-james-bible", "0" * 64)


def test_a_token_file_is_identified_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    tokens = np.arange(1000, dtype=np.uint16) % 256
    tokens.tofile(path)
    data = token_file_data(path, "uint16", 256)
    workload = replace(SMOKE, data=data)
    batch = batch_source(workload)(0)
    assert ((batch.inputs[:, 1:] - batch.inputs[:, :-1]) % 256 == 1).all()
    moved = tmp_path / "moved.bin"
    path.rename(moved)
    assert replace(SMOKE, data=token_file_data(moved, "uint16", 256)).digest == workload.digest


def test_32_bit_tokens(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    np.full(500, 70_000, dtype=np.uint32).tofile(path)
    workload = replace(SMOKE, model=replace(SMOKE.model, vocab_size=100_000))
    workload = replace(workload, data=token_file_data(path, "uint32", 100_000))
    assert (batch_source(workload)(0).inputs == 70_000).all()


def test_the_header_of_llm_c_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "train.bin"
    path.write_bytes(LLMC_HEADER + np.full(500, 7, np.uint16).tobytes())
    workload = replace(SMOKE, data=token_file_data(path, "uint16", 256))
    assert all((batch_source(workload)(step).inputs == 7).all() for step in range(50))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 bytes"),
        (b"abc", "3 bytes"),
        (np.full(9, 300, np.uint16).tobytes(), "holds token 300"),
        (LLMC_HEADER, "0 bytes"),
        (LLMC_HEADER + b"\0", "1 bytes"),
    ],
)
def test_unusable_token_files(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "train.bin"
    path.write_bytes(content)
    with pytest.raises(WorkloadError, match=said):
        token_file_data(path, "uint16", 256)


def test_missing_and_short_token_files(tmp_path: Path) -> None:
    with pytest.raises(WorkloadError):
        token_file_data(tmp_path / "none.bin", "uint16", 256)
    path = tmp_path / "short.bin"
    np.zeros(10, np.uint16).tofile(path)
    with pytest.raises(WorkloadError, match="one sequence needs 65"):
        batch_source(replace(SMOKE, data=token_file_data(path, "uint16", 256)))


def test_a_huge_token_file_is_refused_with_the_cure(tmp_path: Path) -> None:
    path = tmp_path / "huge.bin"
    with path.open("wb") as file:
        file.truncate(2**36 + 2)
    with pytest.raises(WorkloadError, match="is larger than 68,719,476,736 bytes") as caught:
        token_file_data(path, "uint16", 256)
    assert "head -c 68719476736" in caught.value.hint


def test_a_token_file_whose_name_no_worker_could_be_told(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff.bin")
    path.write_bytes(b"\0\0")
    with pytest.raises(WorkloadError, match="not UTF-8"):
        token_file_data(path, "uint16", 256)


@pytest.mark.parametrize("path", ["", "a\0b", "/dev/zero", "/dev/null", "x" * 5000])
def test_a_path_of_a_workload_file_that_leads_to_no_tokens(path: str) -> None:
    data = Data(kind="tokens", sha256="0" * 64, dtype="uint16", path=path)
    with pytest.raises(WorkloadError) as caught:
        batch_source(replace(SMOKE, data=data))
    assert caught.value.hint == "give a file of token ids"


def test_the_synthetic_stream_follows_its_law() -> None:
    vocab = 1000
    tokens = synthetic.zipf_successor(0, 0, 200, 101, vocab)
    assert tokens.min() >= 0
    assert tokens.max() < vocab
    followed = (tokens[:, 1:] == (tokens[:, :-1] + 1) % vocab).mean()
    assert followed == pytest.approx(0.5 + 0.5 * 0.01, abs=0.02)
    assert not np.array_equal(tokens, synthetic.zipf_successor(0, 1, 200, 101, vocab))


def test_the_synthetic_floor_is_the_entropy_of_what_is_drawn() -> None:
    """Cross-entropy of the true conditional law on drawn tokens approaches the documented floor."""
    vocab = 50
    zipf = 1 / np.arange(1, vocab + 1)
    zipf /= zipf.sum()
    tokens = synthetic.zipf_successor(0, 0, 2000, 65, vocab)
    before, after = tokens[:, 1:-1].ravel(), tokens[:, 2:].ravel()
    probability = zipf[after] / 2 + (after == (before + 1) % vocab) / 2
    assert -np.log(probability).mean() == pytest.approx(synthetic.loss_floor(vocab), abs=0.02)
    assert synthetic.loss_floor(vocab) < math.log(vocab)


def test_unknown_streams_and_texts_are_refused() -> None:
    tiny = find_workload("llama-tiny")
    with pytest.raises(WorkloadError, match="unknown synthetic stream"):
        batch_source(replace(tiny, data=replace(tiny.data, name="other")))
    with pytest.raises(WorkloadError, match="unknown text"):
        batch_source(replace(SMOKE, data=replace(SMOKE.data, name="other")))
