"""Reading one record file, whatever is in it: what is no record is refused before it costs time or memory."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from results.errors import RecordError
from results.files import read_text
from results.record import SCHEMA_VERSION, RunRecord

LARGEST_RECORD_BYTES = 32 * 2**20
MOST_KEYS = 10_000
"""No table of a record has more; every unknown key would become a message of a kilobyte."""

_HINT = "give files written by fairchip run"


def read_record(path: Path) -> RunRecord:
    """One record, strictly validated.

    Raises:
        RecordError: unreadable, too large, not a record, or of a newer format; names the file and field.
    """
    try:
        text = read_text(path, LARGEST_RECORD_BYTES)
        if text.count(":") > MOST_KEYS:
            _parsed(text)
        return _validated(path, text)
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}", "give a record or a folder of records") from None
    except ValueError as error:
        raise RecordError(f"{path}: not a record: {error}", _HINT) from None


def _validated(path: Path, text: str) -> RunRecord:
    """What is wrong with a text that is no record is looked for only then: most are, and there may be thousands."""
    try:
        return RunRecord.model_validate_json(text)
    except ValidationError as error:
        _refuse_newer(path, _parsed(text))
        raise RecordError(f"{path}: {_first_problem(error)}", _HINT) from None


def _parsed(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_small_table)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _small_table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_KEYS:
        raise ValueError(f"a table of {len(pairs)} keys")
    return dict(pairs)


def _refuse_newer(path: Path, content: object) -> None:
    """Before anything else is said of it: a newer format may hold what this one does not know."""
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        said = f"record format {version} is newer than this fairchip reads ({SCHEMA_VERSION})"
        raise RecordError(f"{path}: {said}", "update fairchip")


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    what = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {what[:1].lower()}{what[1:]}"
