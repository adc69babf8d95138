"""Cost of a token as a function of how long one runs: start-up is paid for, and so is time that is lost.

Formulas: a run of T tokens takes start-up + T / (tokens per second x goodput) seconds, all of it rented.
"""

from dataclasses import dataclass

from results.errors import PriceError
from results.prices import usd_per_million_tokens

START_UP_SHARE = 0.01
"""Below this share of a run its start-up is not worth a thought."""
LEFT_OUT = "not in these costs: storage, network, failed runs, people, taxes"
"""What a reader must add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How a machine is used: what it does while it steps, and what it is rented for besides."""

    tokens_per_second: float
    start_up_seconds: float = 0.0
    """From nothing to the first finished step; paid once a run."""
    goodput: float = 1.0
    """Share of the rented time after start-up that makes useful tokens; the rest is idle, restarted or repeated."""

    def __post_init__(self) -> None:
        """Refuse what no machine does.

        Raises:
            PriceError: a goodput outside (0, 1], or a negative start-up.
        """
        if not 0 < self.goodput <= 1:
            raise PriceError(f"goodput is {self.goodput:g}", "give a share above 0 and at most 1, such as 0.9")
        if not 0 <= self.start_up_seconds < float("inf"):
            raise PriceError(f"start-up is {self.start_up_seconds:g} s", "give seconds, 0 or more")

    @property
    def useful_tokens_per_second(self) -> float:
        """After start-up, losses taken off."""
        return self.tokens_per_second * self.goodput

    def seconds_for(self, tokens: float) -> float:
        """Rented time of a run of so many tokens."""
        return self.start_up_seconds + tokens / self.useful_tokens_per_second

    def tokens_in(self, seconds: float) -> float:
        """Useful tokens of a run that is rented for so long; 0 if it ends before its first step."""
        return max(0.0, seconds - self.start_up_seconds) * self.useful_tokens_per_second

    def usd_per_million_tokens(self, usd_per_hour: float, rented_seconds: float) -> float | None:
        """Of a run that is rented for so long; None if it makes no token."""
        tokens = self.tokens_in(rented_seconds)
        return usd_per_million_tokens(usd_per_hour, tokens / rented_seconds) if tokens else None

    def seconds_until_start_up_is(self, share: float = START_UP_SHARE) -> float:
        """Length of a run from which on its start-up is below this share of the rented time."""
        return self.start_up_seconds / share
