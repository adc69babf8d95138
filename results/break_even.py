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

Place = tuple[str, str | None]
"""An instance, and the region where its prices are looked up first."""


def break_even(
    baseline: PricedCase, case: PricedCase, book: PriceBook, choice: PriceChoice, margin: float
) -> BreakEven | None:
    """Of two cases with a verdict on different machines; None where the price cancels or nothing can be said."""
    if why_not_comparable(baseline.summary, case.summary) or on_one_machine(baseline.summary, case.summary):
        return None
    slower = equal_price_ratio(baseline.summary, case.summary)
    matched = sorted({*baseline.costs} & {*case.costs} - {"user"})
    histories = {
        model: tuple(flips(verdict_history(slower, _place(baseline), _place(case), model, book, choice.as_of, margin)))
        for model in matched
    }
    return BreakEven(
        case=case.summary.label, baseline=baseline.summary.label, price_ratio=inverse(slower), flips=histories
    )


def _place(case: PricedCase) -> Place:
    return str(case.instance), case.region


def inverse(ratio: Interval) -> Interval:
    """The interval of one over a quantity."""
    low = None if ratio.high is None else 1 / ratio.high
    high = None if ratio.low is None else 1 / ratio.low
    return replace(ratio, estimate=1 / ratio.estimate, low=low, high=high)


def discount_to_tie(cost_ratio: float) -> tuple[float, float]:
    """Shares of their present prices that the case and the baseline would have to give up to tie; one of them is 0."""
    return max(0.0, 1 - 1 / cost_ratio), max(0.0, 1 - cost_ratio)


def verdict_history(
    slower: Interval, baseline: Place, case: Place, purchase_model: str, book: PriceBook, until: date, margin: float
) -> list[PricedDay]:
    """Each day up to ``until`` on which a price of either was observed and both had one, oldest first.

    ``slower`` is the cost ratio at equal prices.
    """
    names = {baseline[0], case[0]}
    observed = (price for price in book if price.instance in names and price.purchase_model == purchase_model)
    days = sorted({price.as_of for price in observed if price.as_of <= until})
    each = (_priced_day(day, slower, baseline, case, purchase_model, book, margin) for day in days)
    return [day for day in each if day is not None]


def _priced_day(
    day: date, slower: Interval, baseline: Place, case: Place, purchase_model: str, book: PriceBook, margin: float
) -> PricedDay | None:
    ours, theirs = (price_as_of(book, instance, purchase_model, day, region) for instance, region in (baseline, case))
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
