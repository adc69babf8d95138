"""How much to measure: until a precision is reached, and within a budget of minutes or dollars."""

import math
import re
import time
from dataclasses import dataclass, field

from bench.errors import UsageError
from bench.instance import detect_instance
from results.costs import PriceChoice, rent

NARROWEST, WIDEST = 0.001, 0.5
"""Half-widths that may be asked for: below, no number of runs is enough; above, nothing is learned."""
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 365 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Time that the suite may take from now on."""

    seconds: float
    began: float = field(default_factory=lambda: time.monotonic())

    @property
    def left_seconds(self) -> float:
        """What remains; negative if it is overspent."""
        return self.began + self.seconds - time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What the user asked for beyond the suite's own number of runs."""

    half_width: float | None = None
    """Relative half-width of the 95 % intervals to reach; None: the declared number of runs."""
    budget: Budget | None = None


def chosen_effort(precision: str | None, minutes: float | None, usd: float | None, choice: PriceChoice) -> Effort:
    """The effort from the command line's words; with both budgets the smaller one counts.

    Raises:
        UsageError: a precision that is none, a budget that is not positive, or dollars of a machine without a price.
    """
    seconds = [60 * _positive("--budget-minutes", minutes)] if minutes is not None else []
    if usd is not None:
        seconds.append(3600 * _positive("--budget-usd", usd) / _usd_per_hour(choice))
    if any(not SHORTEST_SECONDS <= each <= LONGEST_SECONDS for each in seconds):
        raise UsageError("the budget is no time that a suite can take", "give a second to a year")
    budget = Budget(seconds=min(seconds)) if seconds else None
    return Effort(half_width=None if precision is None else half_width(precision), budget=budget)


def half_width(text: str) -> float:
    """``3%`` as 0.03.

    Raises:
        UsageError: not a percentage, or beyond reason.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if not found:
        raise UsageError(f"--precision {text!r} is no percentage", "write it as 3%; numerics are chosen with --policy")
    share = float(found[1]) / 100
    if not NARROWEST <= share <= WIDEST:
        raise UsageError(f"--precision {text} is beyond reason", f"give {NARROWEST:.1%} to {WIDEST:.0%}")
    return share


def _positive(option: str, number: float) -> float:
    if not (math.isfinite(number) and number > 0):
        raise UsageError(f"{option} is {number:g}", "give a positive number")
    return number


def _usd_per_hour(choice: PriceChoice) -> float:
    usd_per_hour, why = rent(detect_instance(), choice)
    if usd_per_hour is None:
        raise UsageError(f"--budget-usd needs the price of this machine: {why}", "or give --budget-minutes")
    return usd_per_hour
