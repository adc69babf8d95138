"""Token files: any bytes, either type, any vocabulary; what is accepted can be drawn from, within the vocabulary."""

from dataclasses import replace

import numpy as np
from fuzz.inputs import fuzzed, mostly
from fuzz.tally import taken
from hypothesis import given
from hypothesis import strategies as st

from workloads.catalog import find_workload
from workloads.data import batch_source
from workloads.errors import WorkloadError
from workloads.token_file import token_file_data

SMOKE = find_workload("smoke")
HEADERS = [np.array([magic, 1, 500] + [0] * 253, np.int32).tobytes() for magic in (20240520, 20240801)]

odd_ends = mostly(st.just(b""), st.binary(max_size=3))
headers = st.sampled_from([b"", *HEADERS]) | st.sampled_from(HEADERS).map(lambda header: header[:1023])
tokens = st.lists(st.integers(0, 400), min_size=12, max_size=60).map(lambda ids: np.array(ids, np.uint16).tobytes())


@fuzzed(400)
@given(
    content=st.tuples(
        headers, mostly(tokens, st.binary(max_size=300)), mostly(st.just(b""), st.binary(max_size=3))
    ).map(b"".join),
    dtype=st.sampled_from(["uint16", "uint32"]),
    vocab_size=st.sampled_from([1, 256, 401, 2**16, 2**24]),
)
def test_bytes(content: bytes, dtype: str, vocab_size: int, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "train.bin"
    path.write_bytes(content)
    data = taken("token file", lambda: token_file_data(path, dtype, vocab_size), WorkloadError, str(path))
    if data is None:
        return
    workload = replace(SMOKE, data=data, sequence_length=8, model=replace(SMOKE.model, vocab_size=vocab_size))
    source = taken("token file, drawn from", lambda: batch_source(workload), WorkloadError)
    if source is not None:
        batch = source(0)
        assert batch.inputs.min() >= 0
        assert batch.targets.max() < vocab_size
