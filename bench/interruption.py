"""A suite that is asked to stop, by Ctrl-C, a shutdown, a closed terminal or the end of its budget, stops in order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class Interrupted(BaseException):
    """Not an `Exception`: nothing that forgives a failing run may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.time_is_up = number == signal.SIGALRM


@contextmanager
def orderly_stop(seconds: float | None = None) -> Iterator[None]:
    """Meanwhile SIGINT, SIGTERM and SIGHUP raise `Interrupted` in the main thread; one that is ignored stays so.

    So does the end of ``seconds``, where they are limited.
    """
    before = {asked: signal.getsignal(asked) for asked in _ASKS}
    for asked, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(asked, _raise)
    try:
        if seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for asked, handler in before.items():
            signal.signal(asked, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)
