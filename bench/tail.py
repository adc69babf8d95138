"""The end of what a process prints, however much it prints: a thread drains its pipe and keeps the last part."""

import threading
from typing import IO

KEPT_CHARACTERS = 16_000
"""Four times what a record keeps, so that what is private is whole when it is looked for."""
CHUNK_CHARACTERS = 2**16
LAST_WORDS_SECONDS = 2.0
"""How long to wait for the end of the pipe once its process is gone: a process that left its group may hold it."""


class Tail:
    """Reads a pipe until its end; costs nothing while nothing is printed."""

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe, self._kept = pipe, ""
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while chunk := self._pipe.readline(CHUNK_CHARACTERS):
            self._kept = (self._kept + chunk)[-KEPT_CHARACTERS:]

    def text(self) -> str:
        """The last 16,000 characters; blocks until the pipe ends, two seconds at most."""
        self._thread.join(LAST_WORDS_SECONDS)
        return self._kept
