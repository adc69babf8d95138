"""Break-even and flip dates in lines for people."""

from collections.abc import Iterator, Mapping

from results.break_even import discount_to_tie
from results.compare import BreakEven, Comparison, PricedDay, Section
from results.stats import Interval


def break_even_lines(section: Section) -> Iterator[str]:
    """The headline first: at which price ratio the answer flips; then today's distance from it, and the days it did."""
    ratios = {(c.case, c.baseline, c.basis): c for c in section.comparisons}
    for one in section.break_evens:
        yield (
            f"break-even: a token costs the same where an hour of {one.case}'s machine costs "
            f"{_ends(one.price_ratio)} times an hour of {one.baseline}'s"
        )
        for model, days in one.flips.items():
            yield from _model_lines(one, model, days, ratios)


def _model_lines(
    one: BreakEven,
    model: str,
    days: tuple[PricedDay, ...],
    comparisons: Mapping[tuple[str, str, str], Comparison],
) -> Iterator[str]:
    found = comparisons.get((one.case, one.baseline, model))
    if found is not None and found.cost_ratio is not None:
        yield f"  {model}: {_to_tie(one, found.cost_ratio)}"
    for day in days:
        yield (
            f"  {model}, from {day.day}: {day.verdict.upper()}, cost ratio {_ends(day.cost_ratio)} at "
            f"{_price(day.case.usd_per_hour, day.case.region)} against "
            f"{_price(day.baseline.usd_per_hour, day.baseline.region)}"
        )


def _to_tie(one: BreakEven, ratio: Interval) -> str:
    own, others = discount_to_tie(ratio.estimate)
    who, share = (one.case, own) if own else (one.baseline, others)
    if ratio.low is None or ratio.high is None:
        return f"to tie, {who} would need a discount of {share:.1%}"
    ends = sorted(1 - 1 / end if own else 1 - end for end in (ratio.low, ratio.high))
    return f"to tie, {who} would need a discount of {share:.1%} [{ends[0]:.1%}, {ends[1]:.1%}]"


def _ends(ratio: Interval) -> str:
    ends = "" if ratio.low is None or ratio.high is None else f" [{ratio.low:.3f}, {ratio.high:.3f}]"
    return f"{ratio.estimate:.3f}{ends}"


def _price(usd_per_hour: float | None, region: str) -> str:
    return f"{usd_per_hour:g} USD/h ({region or 'region not stated'})"
