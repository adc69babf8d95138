"""The time of day that does not jump: read once, then carried on by the monotonic clock.

The monotonic clock is one for all processes of a machine (CLOCK_MONOTONIC), so what a worker and its parent
note lines up even if somebody sets the machine's clock meanwhile.
"""

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class WallClock:
    """Call it for unix seconds."""

    offset_seconds: float
    """Unix time minus monotonic time when it was read."""

    @classmethod
    def now(cls) -> Self:
        """A clock set by the machine's, now."""
        return cls(offset_seconds=time.time() - time.monotonic())

    def __call__(self) -> float:
        """Unix seconds."""
        return self.offset_seconds + time.monotonic()
