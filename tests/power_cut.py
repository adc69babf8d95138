"""A command that dies between two of its runs, as if the power failed: nothing of it is tidied up."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class PowerCut(BaseException):
    pass


@contextmanager
def power_cut_after(runs: int) -> Iterator[None]:
    """What is called inside must die once so many of its runs are recorded."""
    finished = iter(range(1, runs + 1))

    def finish(self: object, *ended: object, **how: object) -> None:
        if next(finished) == runs:
            raise PowerCut

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.progress.Display.finish", finish)
        with pytest.raises(PowerCut):
            yield
