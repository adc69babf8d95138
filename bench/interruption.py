"""A suite that is asked to stop, by Ctrl-C, a shutdown or a closed terminal, stops in order."""

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


@contextmanager
def orderly_stop() -> Iterator[None]:
    """Meanwhile SIGINT, SIGTERM and SIGHUP raise `Interrupted` in the main thread; one that is ignored stays so."""
    before = {asked: signal.getsignal(asked) for asked in _ASKS}
    for asked, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(asked, _raise)
    try:
        yield
    finally:
        for asked, handler in before.items():
            signal.signal(asked, handler)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)
