"""What two measured cases would cost at any price and run length: the formulas behind the page's controls.

`page/formulas.js` computes the same in the browser; a test holds the two against each other.
"""

from dataclasses import dataclass, replace

from results.break_even import discount_to_tie, inverse
from results.compare import Verdict, judge
from results.run_length import Running
from results.stats import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One case as it was measured, and what an hour of its machine is taken to cost."""

    tokens_per_second: Interval
    start_up_seconds: float
    """Paid once a run."""
    goodput: float
    usd_per_hour: float
    discount: float = 0.0
    """Share of the price that is taken off, 0 to below 1."""

    @property
    def paid_per_hour(self) -> float:
        """USD per hour after the discount."""
        return self.usd_per_hour * (1 - self.discount)

    def stepping_share(self, rented_seconds: float | None) -> float:
        """Share of the rented time that is left after start-up; 1 for a run without end (None)."""
        return 1.0 if rented_seconds is None else max(0.0, 1 - self.start_up_seconds / rented_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What follows."""

    baseline_usd_per_million_tokens: Interval
    case_usd_per_million_tokens: Interval
    cost_ratio: Interval
    verdict: Verdict
    break_even_price_ratio: Interval
    """Price of the case's machine over the baseline's at which a token of such a run costs the same."""
    discounts_to_tie: tuple[float, float]
    """Of what the case and the baseline pay here; one of them is 0."""


def what_if(
    baseline: Side, case: Side, equal_price_ratio: Interval, rented_seconds: float | None, margin: float
) -> Outcome | None:
    """Cost, break-even and verdict at the sides' prices; None if the run ends before a side's first step.

    ``equal_price_ratio`` is the cost per token of the case over the baseline's if both machines cost the same.
    """
    ours, theirs = baseline.stepping_share(rented_seconds), case.stepping_share(rented_seconds)
    if not (ours and theirs):
        return None
    slower = equal_price_ratio.times(ours / theirs)
    ratio = slower.times(case.paid_per_hour / baseline.paid_per_hour)
    return Outcome(
        baseline_usd_per_million_tokens=_cost(baseline, rented_seconds),
        case_usd_per_million_tokens=_cost(case, rented_seconds),
        cost_ratio=ratio,
        verdict=judge(ratio, margin),
        break_even_price_ratio=inverse(slower),
        discounts_to_tie=discount_to_tie(ratio.estimate),
    )


def _cost(side: Side, rented_seconds: float | None) -> Interval:
    """USD per million tokens; the interval is the throughput's, the price is taken as given."""

    def at(speed: float | None) -> float | None:
        if speed is None:
            return None
        running = Running(tokens_per_second=speed, start_up_seconds=side.start_up_seconds, goodput=side.goodput)
        endless = replace(running, start_up_seconds=0.0)
        if rented_seconds is None:
            return endless.usd_per_million_tokens(side.paid_per_hour, 1.0)
        return running.usd_per_million_tokens(side.paid_per_hour, rented_seconds)

    speed = side.tokens_per_second
    estimate = at(speed.estimate)
    assert estimate is not None, "the run makes tokens"
    return replace(speed, estimate=estimate, low=at(speed.high), high=at(speed.low))
