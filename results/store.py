"""Records on disk: one file a run, written atomically, read strictly.

A file that exists is whole. Names sort by role, round and order: `timed-0003-01-bytes-5m-torch-cpu.json`.
"""

import json
import os
import re
import uuid
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from results.errors import RecordError
from results.record import SCHEMA_VERSION, RunRecord

LARGEST_RECORD_BYTES = 32 * 2**20


def prepare(folder: Path) -> None:
    """Make a folder for new records, before anything is measured.

    Raises:
        RecordError: it cannot be written, or holds records already.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob("*.json")):
            raise RecordError(f"{folder} holds records already", "choose a new folder with --out")
        write_atomically(probe := folder / ".writable", "")
        probe.unlink()
    except OSError as error:
        raise RecordError(f"{folder}: {error.strerror or error}", "choose a writable folder with --out") from None


def save(record: RunRecord, folder: Path) -> Path:
    """Write a record below ``folder`` and return its path; whole or not at all, and flushed to disk.

    Raises:
        RecordError: the folder cannot be written, or holds a record of this place already.
    """
    place = record.place
    backend = re.sub(r"[^A-Za-z0-9._-]", "_", record.case.backend)
    workload = re.sub(r"[^A-Za-z0-9._-]", "_", record.case.workload)
    path = folder / f"{place.role}-{place.round:04d}-{place.order:02d}-{workload}-{backend}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, record.model_dump_json(indent=1) + "\n")
    except FileExistsError:
        raise RecordError(f"{path} exists already", "records are never overwritten: use a new folder") from None
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}", "choose a writable folder with --out") from None
    return path


def write_atomically(path: Path, text: str) -> None:
    """Create ``path`` with this text, whole or not at all; an existing file is left alone.

    Raises:
        FileExistsError: the path exists.
        OSError: the folder cannot be written or is full; nothing is left behind.
    """
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def load(path: Path) -> RunRecord:
    """One record, strictly validated.

    Raises:
        RecordError: unreadable, too large, not a record, or of a newer format; names the file and field.
    """
    try:
        if path.stat().st_size > LARGEST_RECORD_BYTES:
            raise RecordError(f"{path}: larger than a record can be", "give files written by fairchip run")
        text = path.read_text(encoding="utf-8")
        return RunRecord.model_validate_json(text)
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}", "give a record or a folder of records") from None
    except ValidationError as error:
        raise RecordError(f"{path}: {_first_problem(text, error)}", "give files written by fairchip run") from None
    except ValueError as error:
        raise RecordError(f"{path}: not a record: {error}", "give files written by fairchip run") from None


def load_all(paths: Iterable[Path]) -> list[RunRecord]:
    """Every record of these files and folders (searched to any depth), each run once, in order of creation.

    Raises:
        RecordError: as `load`; or a path holds no record.
    """
    found: dict[str, RunRecord] = {}
    for path in paths:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        files = [file for file in files if not file.name.startswith(".")]
        if not files:
            raise RecordError(f"{path}: holds no records", "give a record or a folder of records")
        for record in map(load, files):
            found[record.run_id] = record
    return sorted(found.values(), key=lambda record: (record.created_at, record.run_id))


def _first_problem(text: str, error: ValidationError) -> str:
    version = _schema_version(text)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return f"record format {version} is newer than this fairchip reads ({SCHEMA_VERSION}); update fairchip"
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['msg'].lower()}"


def _schema_version(text: str) -> object:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content.get("schema_version") if isinstance(content, dict) else None
