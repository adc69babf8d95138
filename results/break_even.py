"""At which price two machines' tokens cost the same, and on which days of the price history the verdict flipped.

An hour of the case may cost as many times an hour of the baseline as it makes tokens in it: that ratio comes from
measured throughput alone and holds under any price.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise

from results.compare import BreakEven, PricedDay, equal_price_ratio, judge, on_one_machine, why_not_comparable
from results.costs import PriceChoice, PricedCase
from results.prices import PriceBook, PriceObservation, price_as_of
from results.stats import Interval


def break_even(
    baseline: PricedCase, case: PricedCase, book: PriceBook, choice: PriceChoice, margin: float
) -> BreakEven | None:
    """Of two cases with a verdict on different machines; None where the price cancels or nothing can be said."""
    if why_not_comparable(baseline.summary, case.summary) or on_one_machine(baseline.summary, case.summary):
        return None
    slower = equal_price_ratio(baseline.summary, case.summary)
    matched = sorted({*baseline.costs} & {*case.costs} - {"user"})
    instances = baseline.instance, case.instance
    histories = {
        model: tuple(flips(verdict_history(slower, *instances, model, book, choice, margin)))
        for model in matched
        if instances[0] and instances[1]
    }
    return BreakEven(
        case=case.summary.label, baseline=baseline.summary.label, price_ratio=inverse(slower), flips=histories
    )


def inverse(ratio: Interval) -> Interval:
    """The interval of one over a quantity."""
    low = None if ratio.high is None else 1 / ratio.high
    high = None if ratio.low is None else 1 / ratio.low
    return replace(ratio, estimate=1 / ratio.estimate, low=low, high=high)


def discount_to_tie(cost_ratio: float) -> tuple[float, float]:
    """Shares of their present prices that the case and the baseline would have to give up to tie; one of them is 0."""
    return max(0.0, 1 - 1 / cost_ratio), max(0.0, 1 - cost_ratio)


def verdict_history(
    slower: Interval,
    baseline: str | None,
    case: str | None,
    purchase_model: str,
    book: PriceBook,
    choice: PriceChoice,
    margin: float,
) -> list[PricedDay]:
    """Each day, up to the reader's, on which a price of either was observed and both had one, oldest first.

    ``slower`` is the cost ratio at equal prices.
    """
    names = {baseline, case}
    observed = (price for price in book if price.instance in names and price.purchase_model == purchase_model)
    days = sorted({price.as_of for price in observed if price.as_of <= choice.as_of})
    each = (_priced_day(day, slower, str(baseline), str(case), purchase_model, book, choice, margin) for day in days)
    return [day for day in each if day is not None]


def _priced_day(
    day: date,
    slower: Interval,
    baseline: str,
    case: str,
    purchase_model: str,
    book: PriceBook,
    choice: PriceChoice,
    margin: float,
) -> PricedDay | None:
    ours = price_as_of(book, baseline, purchase_model, day, choice.region)
    theirs = price_as_of(book, case, purchase_model, day, choice.region)
    if not (isinstance(ours, PriceObservation) and isinstance(theirs, PriceObservation)):
        return None
    if ours.usd_per_hour is None or theirs.usd_per_hour is None:
        return None
    ratio = slower.times(theirs.usd_per_hour / ours.usd_per_hour)
    return PricedDay(day=day, baseline=ours, case=theirs, cost_ratio=ratio, verdict=judge(ratio, margin))


def flips(history: Sequence[PricedDay]) -> Iterator[PricedDay]:
    """The first day, and each on which the verdict was another than on the day before it."""
    yield from history[:1]
    yield from (after for before, after in pairwise(history) if before.verdict != after.verdict)
