"""Strict reading of the CSV tables in ``data/``: every complaint names the file and the line."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TextIO, TypeVar

from results.errors import PriceError

DATA_DIRECTORY = Path(__file__).with_name("data")

Name = TypeVar("Name", bound=str)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. Its readers raise PriceError, with file and line, on a cell that does not fit."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """The cell, without surrounding blanks; may be empty."""
        return self.cells[column].strip()

    def required(self, column: str) -> str:
        """The cell, which must not be empty."""
        if text := self.text(column):
            return text
        raise self.error(f"{column} is empty", f"every row needs its {column}")

    def one_of(self, column: str, allowed: Sequence[Name]) -> Name:
        """The cell, which must be one of ``allowed``."""
        text = self.text(column)
        for name in allowed:
            if name == text:
                return name
        raise self.error(f"{column} is {text!r}", f"{column} is one of: {', '.join(allowed)}")

    def positive(self, column: str) -> float | None:
        """The cell as a positive, finite number; None where it is empty."""
        text = self.text(column)
        if not text:
            return None
        value = _number(text)
        if 0 < value < math.inf:
            return value
        raise self.error(f"{column} is {text!r}", f"{column} is a positive number, or empty where it is not known")

    def count(self, column: str) -> int | None:
        """The cell as a whole number of at least 0; None where it is empty."""
        text = self.text(column)
        if not text:
            return None
        if text.isascii() and text.isdigit():
            return int(text)
        raise self.error(f"{column} is {text!r}", f"{column} is a whole number, or empty where it is not known")

    def day(self, column: str) -> date:
        """The cell as a calendar day, written YYYY-MM-DD."""
        text = self.text(column)
        try:
            parsed = date.fromisoformat(text)
        except ValueError:
            parsed = None
        if parsed is not None and parsed.isoformat() == text:
            return parsed
        raise self.error(f"{column} is {text!r}", f"{column} is an ISO date such as 2026-07-20")

    def error(self, what: str, hint: str) -> PriceError:
        """The error to raise for this row."""
        return PriceError(f"{self.path}, line {self.line}: {what}", hint)


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a CSV file with exactly these columns, in this order; blank lines are passed over.

    Raises:
        PriceError: the file cannot be read, or has other columns, or a row has another number of cells.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from _rows(path, file, columns)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PriceError(f"{path} cannot be read: {error}", "give a CSV file in UTF-8") from error


def _rows(path: Path, file: TextIO, columns: Sequence[str]) -> Iterator[Row]:
    lines = csv.reader(file, strict=True)
    header = next(lines, [])
    if header != list(columns):
        raise PriceError(
            f"{path}, line 1: the columns are {','.join(header) or 'missing'}",
            f"the columns are, in this order: {','.join(columns)}",
        )
    for cells in filter(None, lines):
        row = Row(path, lines.line_num, dict(zip(columns, cells, strict=False)))
        if len(cells) != len(columns):
            raise row.error(f"{len(cells)} cells for {len(columns)} columns", "quote a cell that holds a comma")
        yield row


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
