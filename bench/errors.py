"""One error for the command line: whatever a room refuses becomes one line and a hint, exit 2.

    UsageError             a user's mistake noticed by bench itself

`WorkloadError`, `BackendError` and `ResultsError` of the other rooms carry the same two attributes.
"""

import re

from backends.errors import BackendError
from results.errors import ResultsError
from workloads.errors import WorkloadError


class UsageError(Exception):
    """A user's mistake.

    Attributes:
        message: one line that names what is wrong.
        hint: one line that says what would be right.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


EXPECTED = (UsageError, WorkloadError, BackendError, ResultsError)
"""Errors that end a command with one line and a hint."""

LONGEST_LINE = 500
_HALF = LONGEST_LINE // 2


def one_line(text: str) -> str:
    """A message as one printable line, cut in its middle: it may quote a file name or a hostile file."""
    if len(text) > 4 * LONGEST_LINE:
        text = text[: 2 * LONGEST_LINE] + " ... " + text[-2 * LONGEST_LINE :]
    printable = "".join(char if char.isprintable() else " " for char in text)
    line = re.sub(r"  +", " ", printable).strip()
    return line if len(line) <= LONGEST_LINE else f"{line[: _HALF - 3]} ... {line[-_HALF + 2 :]}"
