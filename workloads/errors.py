"""The room's one error.

    WorkloadError      a workload, model configuration or token file that cannot be used

Raise it with what is wrong and a hint of what to do: ``WorkloadError("...", hint="...")``.
"""


class WorkloadError(Exception):
    """A user's mistake in a workload, model configuration or token file.

    Attributes:
        message: one line that names the file, field or value.
        hint: one line that says what would be right.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
