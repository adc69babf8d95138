"""Workload files: whatever is in one, it is a workload that can be counted, digested and recorded, or refused."""

import json
import tomllib
from pathlib import Path

from fuzz.inputs import as_toml, fuzzed, mutated_bytes, mutated_table
from fuzz.tally import taken
from hypothesis import given
from hypothesis import strategies as st

from backends.recipe import Recipe, resolve
from bench.describe import record_case
from bench.plan import Case
from workloads.catalog import find_workload
from workloads.errors import WorkloadError
from workloads.parse import workload_from_table, workload_from_toml
from workloads.spec import Workload, canonical_json

CATALOG = sorted((Path(__file__).parents[2] / "workloads" / "catalog").glob("*.toml"))
TABLES = [tomllib.loads(path.read_text()) for path in CATALOG]
TOKENS = (
    b"[",
    b"]",
    b"[[model]]",
    b"=",
    b'"',
    b'"""',
    b"'",
    b"nan",
    b"-inf",
    b"1979-05-27",
    b"0x",
    b"{",
    b"a.b.c",
    b"\n",
)
TOKENS += (b"\x00", b"\xff", b"#", b"1e999", b"9" * 50, b"dim = 1\n", b"true", b"\xef\xbb\xbf", b"\r")


def require_usable(workload: Workload) -> None:
    """What is accepted can be described, told apart and written down, before any of it is run."""
    again = workload_from_table({"name": "again", **json.loads(canonical_json(workload))}, "again")
    assert again == workload
    assert again.digest == workload.digest
    assert len(workload.trajectory_digest) == 64
    recipe = resolve(Recipe(), workload)
    case = record_case(Case(workload=workload, backend="fake", device_type="fake", recipe=recipe))
    assert case.digest == workload.digest
    assert case.parameters > 0


def test_the_catalog_is_usable() -> None:
    for path in CATALOG:
        require_usable(find_workload(path.stem))


@fuzzed(400)
@given(content=st.one_of([mutated_bytes(path.read_bytes(), TOKENS) for path in CATALOG]) | st.binary(max_size=200))
def test_bytes(content: bytes, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "workload.toml"
    path.write_bytes(content)
    workload = taken("workload TOML, bytes", lambda: workload_from_toml(path), WorkloadError, str(path))
    if workload is not None:
        require_usable(workload)


@fuzzed(400)
@given(table=st.one_of([mutated_table(table) for table in TABLES]))
def test_structure(table: dict, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "workload.toml"
    path.write_text(as_toml(table), encoding="utf-8", errors="surrogatepass")
    workload = taken("workload TOML, structure", lambda: workload_from_toml(path), WorkloadError, str(path))
    if workload is not None:
        require_usable(workload)


@fuzzed(300)
@given(table=mutated_table({"name": "x", **TABLES[0]}) | st.dictionaries(st.text(), st.none() | st.text()))
def test_tables_that_no_toml_can_hold(table: dict) -> None:
    workload = taken("workload table", lambda: workload_from_table(table, "test"), WorkloadError, "test")
    if workload is not None:
        require_usable(workload)
