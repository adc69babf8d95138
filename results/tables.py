"""Strict reading of the CSV tables in ``data/``: every complaint names the file and the line."""

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from results.errors import PriceError
from results.files import read_text

if TYPE_CHECKING:
    import _csv

DATA_DIRECTORY = Path(__file__).with_name("data")
LARGEST_TABLE_BYTES = 64 * 2**20
SMALLEST_NUMBER, LARGEST_NUMBER = 1e-15, 1e15
"""No figure of a data sheet and no price is outside: one that is was written in other units."""

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
        """The cell as a positive number within reason; None where it is empty."""
        text = self.text(column)
        if not text:
            return None
        value = _number(text)
        if SMALLEST_NUMBER <= value <= LARGEST_NUMBER:
            return value
        unit = " of US dollars, without a sign" if column.startswith("usd_") else ""
        raise self.error(
            f"{column} is {text!r}", f"{column} is a positive number{unit}, or empty where it is not known"
        )

    def count(self, column: str) -> int | None:
        """The cell as a whole number of at least 0; None where it is empty."""
        text = self.text(column)
        if not text:
            return None
        if text.isascii() and text.isdigit() and len(text) <= 15:
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
        text = read_text(path, LARGEST_TABLE_BYTES)
    except OSError as error:
        raise PriceError(f"{path} cannot be read: {error.strerror or error}", "give a CSV file") from None
    except ValueError as error:
        raise PriceError(f"{path} cannot be read: {error}", "give a CSV file in UTF-8") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield from _rows(path, lines, columns)
    except csv.Error as error:
        raise PriceError(f"{path}, line {lines.line_num}, cannot be read: {error}", "give a CSV file") from None


def _rows(path: Path, lines: "_csv.Reader", columns: Sequence[str]) -> Iterator[Row]:
    header = next(lines, [])
    if header != list(columns):
        raise PriceError(
            f"{path}, line 1: the columns are {','.join(header)[:200] or 'missing'}",
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
