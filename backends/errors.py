"""The room's errors.

BackendError           anything a backend reports to its user
  Unavailable          the backend cannot run here; a result, not a failure of the program
  OutOfMemory          host or device memory did not suffice
"""


class BackendError(Exception):
    """A backend's problem, with a hint of what to do.

    Attributes:
        message: one line.
        hint: one line that says what would help.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Unavailable(BackendError):
    """The backend cannot run on this machine."""


class OutOfMemory(BackendError):
    """The device, or the host for a CPU, had too little memory for this workload and recipe."""
