"""A suite that is asked to stop, by Ctrl-C, a shutdown or a closed terminal, or whose budget ends, stops in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Not an `Exception`: nothing that forgives a failing run may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class TimeIsUp(BaseException):
    """The budget ended during a run."""


@contextmanager
def orderly_stop() -> Iterator[None]:
    """Meanwhile SIGINT, SIGTERM and SIGHUP raise `Interrupted` in the main thread; one that is ignored stays so."""
    before = {asked: signal.getsignal(asked) for asked in _ASKS}
    for asked, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(asked, _interrupt)
    try:
        yield
    finally:
        for asked, handler in before.items():
            signal.signal(asked, handler)


@contextmanager
def limited(seconds: float | None) -> Iterator[None]:
    """`TimeIsUp` in the main thread if what follows takes longer; None is no limit."""
    if seconds is None:
        yield
        return
    before = signal.signal(signal.SIGALRM, _end_of_time)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)  # nothing may disturb how it stops
    raise Interrupted(number)


def _end_of_time(number: int, frame: FrameType | None) -> None:
    raise TimeIsUp
