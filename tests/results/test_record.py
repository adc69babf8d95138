"""Records: strict, atomic, once, and readable for ever."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from builders import make_record

from results.errors import RecordError
from results.record import RunRecord, json_schema
from results.record_file import read_record
from results.store import load_all, owned, record_files, save, set_aside

ROOT = Path(__file__).parents[2]
GOLDEN = sorted((ROOT / "tests" / "golden").glob("record-v*.json"))


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    record = make_record()
    path = save(record, tmp_path / "new" / "folder")
    assert path.name == "timed-0000-00-smoke-torch-cpu.json"
    assert read_record(path) == record
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "no draft is left behind"


def test_a_record_is_never_overwritten(tmp_path: Path) -> None:
    path = save(make_record(), tmp_path)
    before = path.read_bytes()
    with pytest.raises(RecordError, match="exists already"):
        save(make_record(tokens_per_second=2000.0), tmp_path)
    assert path.read_bytes() == before


def test_an_unwritable_place_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError) as caught:
        save(make_record(), tmp_path / "file")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_the_same_file_twice_is_one_run(tmp_path: Path) -> None:
    path = save(make_record(), tmp_path)
    (tmp_path / "copy.json").write_bytes(path.read_bytes())
    assert len(load_all([tmp_path, path, path])) == 1


def test_two_runs_of_one_place_are_refused(tmp_path: Path) -> None:
    """Somebody put a record back whose round was run again: neither is counted before one is chosen."""
    save(make_record(tokens_per_second=1000.0), tmp_path / "one")
    save(make_record(tokens_per_second=2000.0), tmp_path / "two")
    with pytest.raises(RecordError, match="the same run of one suite"):
        load_all([tmp_path])


def test_a_record_set_aside_is_kept_and_not_read(tmp_path: Path) -> None:
    record, other = make_record(), make_record(round_=1)
    content = save(record, tmp_path).read_bytes()
    save(other, tmp_path)
    set_aside(record, tmp_path)
    assert load_all([tmp_path]) == [other]
    (aside,) = tmp_path.glob("*.superseded-*")
    assert aside.read_bytes() == content


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    with owned(tmp_path / "records"):
        with pytest.raises(RecordError, match="another suite writes there"), owned(tmp_path / "records"):
            pass
        save(make_record(), tmp_path / "records")
    with owned(tmp_path / "records"):
        assert record_files(tmp_path / "records")


def _with(content: dict, dotted: str, value: object) -> dict:
    """The content with one part replaced; whole numbers in the path are places in a list."""
    *parents, last = (int(part) if part.isdigit() else part for part in dotted.split("."))
    owner = content
    for parent in parents:
        owner = owner[parent]
    owner[last] = value
    return content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c | {"unheard_of": 1}, "unheard_of"),
        (lambda c: c | {"schema_version": 2}, "format 2 is newer"),
        (lambda c: c | {"status": "great"}, "status"),
        (lambda c: {k: v for k, v in c.items() if k != "plan"}, "plan"),
        (lambda c: c | {"created_at": "yesterday"}, "created_at"),
        (lambda c: c | {"place": c["place"] | {"round": -1}}, "place.round"),
        (lambda c: c | {"place": c["place"] | {"round": "1"}}, "place.round"),
        (lambda c: c | {"plan": c["plan"] | {"window_seconds": float("inf")}}, "plan.window_seconds"),
        (lambda c: c | {"reason": "x" * 5000}, "reason"),
        (lambda c: c | {"case": c["case"] | {"digest": "0" * 64}}, "digest is not that of the specification"),
        (lambda c: c | {"case": c["case"] | {"flops_per_token": {"6N": 1}}}, "lacks"),
        (lambda c: [c], "the file"),
        (lambda c: _with(c, "case.recipe", {"name": [float("nan")]}), "case.recipe: holds NaN"),
        (lambda c: _with(c, "case.specification", {"seed": float("inf")}), "case.specification"),
        (lambda c: _with(c, "measurement.session.device_name", -float("inf")), "measurement.session"),
        (lambda c: _with(c, "measurement.session.device_name", 10**400), "measurement.session"),
        (lambda c: _with(c, "reference.relative_tolerance", float("inf")), "reference.relative_tolerance"),
        (lambda c: _with(c, "reference.losses", []), "reference.losses"),
        (lambda c: _with(c, "measurement.origin_unix_seconds", 1.8e12), "measurement.origin_unix_seconds"),
        (lambda c: _with(c, "measurement.windows.0.seconds", 1e-12), "measurement.windows.0.seconds"),
        (lambda c: _with(c, "measurement.windows.1.seconds", 1024.0), "windows.2.start_seconds"),
        (lambda c: _with(c, "measurement.windows.1.start_seconds", 0.01), "windows.1.start_seconds"),
        (lambda c: _with(c, "measurement.windows.0.start_seconds", 0.0), "windows.0.start_seconds"),
        (lambda c: _with(c, "measurement.windows.3.tokens", 1), "measurement.windows.3.tokens is 1, not 4 steps"),
        (lambda c: _with(c, "measurement.warmup.0.tokens", 2048), "measurement.warmup.0.tokens is 2048"),
        (lambda c: _with(c, "measurement.windows.3.steps", 5), "windows.3.steps is 5, steps_per_window 4"),
        (lambda c: _with(c, "measurement.windows.0.batch_wait_seconds", 9.0), "batch_wait_seconds 9.0 is more"),
        (lambda c: _with(c, "case.tokens_per_step", 0), "case.tokens_per_step"),
        (lambda c: _with(c, "case.parameters", 2**63), "case.parameters"),
        (lambda c: _with(c, "case.flops_per_token.6N", 0), "case.flops_per_token.6N"),
        (lambda c: _with(c, "environment.logical_cpus", 0), "environment.logical_cpus"),
        (lambda c: c | {"created_at": "٢٠٢٦-11-22T10:00:00+00:00"}, "created_at"),
        (lambda c: c | {str(i): 0 for i in range(20_000)}, "a table of"),
    ],
)
def test_what_is_not_a_record_is_refused_by_field(tmp_path: Path, change, said: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(change(make_record().model_dump(mode="json"))))
    with pytest.raises(RecordError) as caught:
        read_record(path)
    assert str(path) in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 200_000, b"\xff\xfe", b'{"schema_version": 1', b"NaN"])
def test_garbage_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(RecordError):
        read_record(path)


def test_missing_files_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        load_all([tmp_path])
    with pytest.raises(RecordError):
        load_all([tmp_path / "none"])


def test_the_published_schema_is_the_code(tmp_path: Path) -> None:
    """CONTRIBUTING.md has the command that refreshes it."""
    published = json.loads((ROOT / "docs" / "record.schema.json").read_text())
    assert published == json_schema()


def test_the_schema_accepts_records_and_refuses_others() -> None:
    content = json.loads(make_record().model_dump_json())
    jsonschema.validate(content, json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content | {"unheard_of": 1}, json_schema())


def test_there_is_a_golden_record() -> None:
    assert GOLDEN


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_old_records_load_for_ever(path: Path) -> None:
    """Never edit a golden file: a record that no longer loads is somebody's lost measurement."""
    record = read_record(path)
    assert isinstance(record, RunRecord)
    assert record.measurement is not None
    written, understood = json.loads(path.read_text()), json.loads(record.model_dump_json())
    assert _with_later_fields(written, understood) == understood, "nothing of it is lost or changed"


def _with_later_fields(written: Any, understood: Any) -> Any:
    """What was written, and in every object the fields that came later."""
    if not isinstance(written, dict) or not isinstance(understood, dict):
        return written
    known = {name: _with_later_fields(value, understood.get(name)) for name, value in written.items()}
    return understood | known
