"""The room's errors.

    ResultsError           anything in results that its user can put right
      RecordError          a run record cannot be read, written or trusted
      PriceError           a price, or a table of prices, instances or peaks, cannot be used
      ComparisonError      these cases may not be compared, or not in this way

A missing price or peak is no error: it is a result with a reason (``MissingPrice``, ``MissingPeak``).
"""


class ResultsError(Exception):
    """A user's problem with records, prices or a comparison, with a hint of what to do.

    Attributes:
        message: one line that names the file, line, field or value.
        hint: one line that says what would be right.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RecordError(ResultsError):
    """A run record cannot be read, written or trusted."""


class PriceError(ResultsError):
    """A price, or a table of prices, instances or peaks, cannot be used."""


class ComparisonError(ResultsError):
    """These cases may not be compared, or not in this way."""
