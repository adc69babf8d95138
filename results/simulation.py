"""Do the shipped intervals cover what they say, and do the verdicts leave equal cases alone?

    .venv/bin/python -m results.simulation [--replications N] [--seed S] [--quick]

Simulated runs (results/simulated_runs.py) go through the code that ships: `equal_price_ratio`, which chooses the
method and allows for hosts, `judge`, and `throughput_interval`. As everything is on the log scale, coverage at a true
ratio of 1 is coverage at any. Exit code 1 where a claim that the product makes covers less than 95 %, or where equal
cases are told apart in more than 5 %, beyond three Monte-Carlo errors.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated
from zlib import crc32

import numpy as np
import typer

from results import compare, summary
from results.scenarios import scenarios
from results.simulated_runs import WINDOW_SECONDS, WINDOW_TOKENS, Scenario, simulated_cases
from results.stats import CONFIDENCE, Interval
from results.summary import CaseSummary

RUNS, REPLICATIONS = (3, 4, 5, 7, 10), 2000
QUICK_RUNS, QUICK_REPLICATIONS = (3, 5), 400
ERRORS = 3
"""Monte-Carlo standard errors by which a rate may be off: chance alone exceeds them in one cell of 700."""

Outcome = tuple[Interval, compare.Verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One scenario with one number of runs: what came of its replications, of which none is left out."""

    scenario: Scenario
    runs: int
    """On each host."""
    outcomes: Sequence[Outcome]

    @property
    def coverage(self) -> float:
        """Share of the intervals that hold the truth."""
        return _share(low <= 1 <= high for low, high in map(_ends, self.intervals))

    @property
    def told_apart(self) -> float:
        """Share of the verdicts that call one of two equal cases better."""
        return _share(verdict in ("better", "worse") for _, verdict in self.outcomes)

    @property
    def undecided(self) -> float:
        """Share of the verdicts that do not commit themselves."""
        return _share(verdict == "undecided" for _, verdict in self.outcomes)

    @property
    def half_width(self) -> float:
        """Median over the replications, relative."""
        return statistics.median(math.log(high / low) / 2 for low, high in map(_ends, self.intervals))

    @property
    def intervals(self) -> list[Interval]:
        """Of all replications."""
        return [interval for interval, _ in self.outcomes]

    @property
    def slack(self) -> float:
        """What chance explains of a rate that is nominally 95 or 5 %."""
        return ERRORS * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / len(self.outcomes))

    @property
    def holds(self) -> bool:
        """Whether the rates are as good as claimed; always so of what the product does not claim."""
        honest = self.coverage >= CONFIDENCE - self.slack and self.told_apart <= 1 - CONFIDENCE + self.slack
        return honest or self.scenario.says == "no"


def simulate(scenario: Scenario, runs: int, replications: int = REPLICATIONS, seed: int = 0) -> Cell:
    """One cell, the same for the same arguments whatever else is simulated."""
    generator = np.random.default_rng([seed, runs, crc32(repr(scenario).encode())])
    cases = simulated_cases(scenario, runs, replications, generator)
    outcomes = tuple(_outcome(scenario, baseline, case) for baseline, case in cases)
    return Cell(scenario=scenario, runs=runs, outcomes=outcomes)


def _outcome(scenario: Scenario, baseline: CaseSummary, case: CaseSummary) -> Outcome:
    """What the product says of two cases, or of one; looked up in its modules, so that a test can sabotage it."""
    if scenario.alone:
        return summary.throughput_interval(baseline.ranked).times(WINDOW_SECONDS / WINDOW_TOKENS), "none"
    ratio = compare.equal_price_ratio(baseline, case)
    return ratio, compare.judge(ratio, compare.DEFAULT_MARGIN)


def _ends(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None, "every scenario has enough runs for an interval"
    assert interval.high is not None
    return interval.low, interval.high


def _share(values: Iterable[bool]) -> float:
    return statistics.fmean(values)


COLUMNS = {
    "setting": "<14",
    "process": ">7",
    "host sd": ">7",
    "drift": ">5",
    "claim": "<14",
    "runs": ">4",
    "method": "<21",
    "coverage": ">12",
    "half": ">5",
    "A/A": ">4",
    "undecided": ">9",
    "says": "<7",
}


def main(
    replications: Annotated[int | None, typer.Option("--replications", min=100, help="Of each line.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Few replications, of 3 and of 5 runs.")] = False,
) -> None:
    """Print one table; exit 1 where the product says more than it knows."""
    number = replications or (QUICK_REPLICATIONS if quick else REPLICATIONS)
    print(_joined(COLUMNS))
    cells: list[Cell] = []
    for scenario in scenarios():
        for runs in QUICK_RUNS if quick else RUNS:
            cells.append(simulate(scenario, runs, number, seed))
            print(line(cells[-1]), flush=True)
    claims = [cell for cell in cells if cell.scenario.says != "no"]
    held = sum(cell.holds for cell in claims)
    print(f"{number} replications of each line, seed {seed}: {held} of {len(claims)} claims hold")
    raise typer.Exit(0 if held == len(claims) else 1)


def line(cell: Cell) -> str:
    """One row of the table."""
    return _joined(_row(cell)) + ("" if cell.holds else "  FAILS")


def _joined(cells: Iterable[str]) -> str:
    return " ".join(f"{cell:{style}}" for cell, style in zip(cells, COLUMNS.values(), strict=True)).rstrip()


def _row(cell: Cell) -> tuple[str, ...]:
    scenario, decides = cell.scenario, not cell.scenario.alone
    error = math.sqrt(cell.coverage * (1 - cell.coverage) / len(cell.outcomes))
    return (
        scenario.setting,
        "/".join(f"{sd * 100:g}" for sd in dict.fromkeys(scenario.process_sds)) + " %",
        f"{scenario.host_sd * 100:g} %" if scenario.host_sd else "-",
        f"{scenario.drift * 100:g} %" if scenario.drift else "-",
        scenario.claim,
        str(cell.runs) if scenario.runs_left is None else f"{cell.runs}:{scenario.runs_left}",
        cell.intervals[0].method,
        f"{cell.coverage:.1%} ±{error:.1%}",
        f"{cell.half_width:.1%}",
        f"{cell.told_apart:.1%}" if decides else "-",
        f"{cell.undecided:.0%}" if decides else "-",
        scenario.says,
    )


if __name__ == "__main__":
    typer.run(main)
