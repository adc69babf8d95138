"""One error for the command line: whatever a room refuses becomes one line and a hint, exit 2.

    UsageError             a user's mistake noticed by bench itself

`WorkloadError`, `BackendError` and `ResultsError` of the other rooms carry the same two attributes.
"""

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
