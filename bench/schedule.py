"""What one invocation runs, and in which order."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Literal

from bench.effort import Budget
from bench.environment import read_environment
from bench.plan import Case, MeasurePlan
from results.record import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What one invocation runs, where its records go, and on what."""

    suite: str
    cases: Sequence[Case]
    plan: MeasurePlan
    runs: int
    cold_starts: int
    folder: Path
    """Where the records go."""
    environment: Environment = field(default_factory=read_environment)
    pilot_runs: int | None = None
    """Where a precision is asked for: the first rounds, which decide how many `runs` there are."""
    target_half_width: float | None = None
    """That precision: relative half-width of the intervals."""
    budget: Budget | None = None

    @property
    def total_runs(self) -> int:
        """Worker processes that will be started."""
        return len(self.cases) * (self.cold_starts + self.runs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One run to make."""

    case: Case
    role: Literal["cold-start", "timed"]
    round: int
    order: int

    @property
    def cold_start_number(self) -> int:
        """Which cold start this is; 0 for timed runs, which share the first one's cache."""
        return self.round if self.role == "cold-start" else 0

    def plan(self, campaign: Campaign) -> MeasurePlan:
        """How it is measured: a cold start is the first step alone."""
        return replace(campaign.plan, windows=0) if self.role == "cold-start" else campaign.plan


def rounds_of(turns: Iterable[Turn]) -> list[list[Turn]]:
    """Consecutive turns of one role and round together."""
    return [list(group) for _, group in groupby(turns, key=lambda turn: (turn.role, turn.round))]


def schedule(campaign: Campaign, seed: str) -> list[Turn]:
    """Cold starts first, then rounds in random order, every second one in the reverse of the one before.

    So a drift favours no case: over two rounds a steady one cancels. With orders drawn for each round alone, one in
    four suites of three rounds has two cases in the same order throughout, and their drift for a difference.
    The same for the same campaign and seed, so that an interrupted suite goes on in its own order.
    """
    shuffle = random.Random(seed).sample
    turns: list[Turn] = []
    roles: list[tuple[Literal["cold-start", "timed"], int]] = [
        *(("cold-start", number) for number in range(campaign.cold_starts)),
        *(("timed", number) for number in range(campaign.runs)),
    ]
    order: list[Case] = []
    for role, number in roles:
        order = order[::-1] if number % 2 else shuffle(list(campaign.cases), len(campaign.cases))
        turns += [Turn(case=case, role=role, round=number, order=place) for place, case in enumerate(order)]
    return turns
