"""Records on disk: one file a run, written atomically, read strictly.

A file that exists is whole. Names sort by role, round and order: `timed-0003-01-bytes-5m-torch-cpu.json`.
A record whose round was run again keeps its content and gets another ending, which no reader looks for.
"""

import contextlib
import errno
import gc
import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from results.errors import RecordError
from results.record import RunRecord
from results.record_file import read_record

_LOCK = ".lock"
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What link() says on file systems without hard links (link(2); SMB, FUSE)."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What flock() says on file systems without locks (flock(2); NFS without its lock service)."""
_LONGEST_NAME_PART = 80
_DRAFT = ".draft-"
"""Beginning of the name of a file that is not whole yet."""
ROOM_BYTES = 2**20
"""Written once before anything is measured: more than a record takes."""


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Make a folder for records, see that it can be written, and keep other writers out meanwhile.

    Drafts of a process that was killed are removed. A folder in which nothing came to be is removed again.

    Raises:
        RecordError: it cannot be made or written, or another process writes there.
    """
    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        _make_writable(folder)
        _acquire(lock)
    except Timeout:
        raise RecordError(
            f"{folder}: another suite writes there now", "wait until it ends: two at once would disturb each other"
        ) from None
    except OSError as error:
        _remove_if_empty(folder)
        raise _unwritable(folder, error) from None
    try:
        for draft in folder.glob(f"{_DRAFT}*"):
            draft.unlink(missing_ok=True)
        yield
    finally:
        _remove_if_empty(folder)
        lock.release()


def _make_writable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(probe := folder / f"{_DRAFT}{uuid.uuid4().hex}", " " * ROOM_BYTES)
    probe.unlink()


def _acquire(lock: FileLock) -> None:
    """Held until the process ends in whatever way. Where there are no locks we go on: no record is overwritten."""
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if {path.name for path in folder.iterdir()} <= {_LOCK}:
            (folder / _LOCK).unlink(missing_ok=True)
            folder.rmdir()


def save(record: RunRecord, folder: Path) -> Path:
    """Write a record into a folder and return its path; whole or not at all, and flushed to disk.

    Raises:
        RecordError: the folder cannot be written, or holds a record of this place already.
    """
    path = record_path(record, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, record.model_dump_json(indent=1) + "\n")
    except FileExistsError:
        raise RecordError(f"{path} exists already", "records are never overwritten: use a new folder") from None
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def record_path(record: RunRecord, folder: Path) -> Path:
    """Where a record of this place, workload and backend is kept."""
    place, case = record.place, record.case
    workload, backend = (
        re.sub(r"[^A-Za-z0-9._-]", "_", name)[:_LONGEST_NAME_PART] for name in (case.workload, case.backend)
    )
    return folder / f"{place.role}-{place.round:04d}-{place.order:02d}-{workload}-{backend}.json"


def set_aside(record: RunRecord, folder: Path) -> None:
    """Let a record no longer count, because its round is run again; its file stays under another ending.

    Raises:
        RecordError: the folder cannot be written.
    """
    path = record_path(record, folder)
    try:
        path.rename(path.with_name(f"{path.name}.superseded-{record.run_id}"))
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> RecordError:
    hint = "choose a folder that can be written with --out"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "make room and give the same command again: it goes on, nothing is lost"
    return RecordError(f"{path}: {error.strerror or error}", hint)


def write_atomically(path: Path, text: str) -> None:
    """Create ``path`` with this text, whole or not at all, and flushed; an existing file is left alone.

    Raises:
        FileExistsError: the path exists.
        OSError: the folder cannot be written or is full; nothing is left behind.
    """
    draft = path.with_name(f"{_DRAFT}{uuid.uuid4().hex}")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _publish(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _publish(draft: Path, path: Path) -> None:
    """Give a finished draft its name, unless that is taken."""
    try:
        os.link(draft, path)
    except FileExistsError:
        # A network file system may repeat our request and then refuse it: two links say that ours succeeded.
        if draft.stat().st_nlink != 2:
            raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        draft.rename(path)


def _flush_folder(folder: Path) -> None:
    """The new name survives a power cut, where the file system can promise that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def record_files(folder: Path) -> list[Path]:
    """Record files directly in a folder, sorted; none if there is no such folder."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def load_all(paths: Iterable[Path]) -> list[RunRecord]:
    """Every record of these files and folders (searched to any depth), each run once, in order of creation.

    Raises:
        RecordError: as `read_record`; a path holds no record; or two runs claim one place of one suite.
    """
    found: dict[str, RunRecord] = {}
    holders: dict[tuple[object, ...], Path] = {}
    with _no_search_for_cycles():
        for file in (file for path in paths for file in _files(path)):
            record = read_record(file)
            if record.run_id in found:
                continue
            if (other := holders.setdefault(_place(record), file)) != file:
                raise RecordError(f"{other} and {file} are the same run of one suite, made twice", "remove one of them")
            found[record.run_id] = record
    return sorted(found.values(), key=lambda record: (record.created_at, record.run_id))


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Records hold none; looking for some again and again takes nearly as long as reading the records."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()


def _files(path: Path) -> list[Path]:
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    files = [file for file in files if not file.name.startswith(".")]
    if not files:
        raise RecordError(f"{path}: holds no records", "give a record or a folder of records")
    return files


def _place(record: RunRecord) -> tuple[object, ...]:
    place, case = record.place, record.case
    return place.suite_id, place.role, place.round, place.order, case.digest, case.backend
