"""What tokens cost, in lines for people: bills of planned runs, published anchors, scenarios. At most 100 columns."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from results.anchors import Anchor
from results.break_even import inverse
from results.budget_scenario import Outcome, Scenario, affordable_disadvantage
from results.plain_text import shortened
from results.prices import MissingPrice, PriceObservation, usd_per_million_tokens
from results.quantities import short
from results.stats import Interval
from results.training_bill import Bill

UNMATCHED = (
    "NOT MATCHED RUNS: other days, scale, software and recipes. Ratios show what prices do to the",
    "question; no verdict follows. Public recipes for one model on one card differ by 1.41x.",
)


def interval(value: Interval, digits: str = ",.4g") -> str:
    """``1.234 [1.2, 1.3]``, or the estimate alone where there is no interval."""
    ends = "" if value.low is None or value.high is None else f" [{value.low:{digits}}, {value.high:{digits}}]"
    return f"{value.estimate:{digits}}{ends}"


def money(value: Interval) -> str:
    """``3.1M [3.0M, 3.2M]``."""
    ends = "" if value.low is None or value.high is None else f" [{short(value.low)}, {short(value.high)}]"
    return f"{short(value.estimate)}{ends}"


def price_text(price: PriceObservation) -> str:
    """What an hour costs, and who says so."""
    place = price.region or "region not stated"
    return f"{price.usd_per_hour:g} USD/h ({price.kind}, {place}, {price.as_of}; {shortened(price.source, 60)})"


def bill_lines(name: str, bill: Bill | MissingPrice) -> Iterator[str]:
    """Days and dollars under one purchase model, or why there are none."""
    if isinstance(bill, MissingPrice):
        yield f"{name}: no cost: {bill.reason}"
        return
    per_token = interval(bill.usd_per_million_tokens)
    yield f"{name}: {interval(bill.days)} days, {money(bill.usd)} USD, {per_token} USD/Mtoken"
    yield f"  at {price_text(bill.price)}"


def anchor_lines(anchors: Sequence[Anchor]) -> Iterator[str]:
    """A line each, and what it is."""
    for one in anchors:
        kind = f"derived: {one.derivation}" if one.derivation else "published"
        length = f"sequence {one.sequence_length}" if one.sequence_length else "sequence not stated"
        yield f"{one.name}: {one.tokens_per_second_per_chip:,.1f} tokens/s a chip ({kind})"
        yield f"  {one.work}, {one.precision}, {length}, {one.chips:,} x {one.chip}; {one.settings}"
        yield f"  {one.source}" + (f"; {one.note}" if one.note else "")


def pair_lines(
    anchors: Sequence[Anchor], prices: dict[str, dict[str, PriceObservation]], models: Sequence[str]
) -> Iterator[str]:
    """Two anchors of the same work on chips of two makers: cost under each matched model, and the break-even.

    ``prices`` by instance, then purchase model.
    """
    for one, other in combinations(anchors, 2):
        if one.same_work(other) and one.chip.startswith("Trainium") != other.chip.startswith("Trainium"):
            trainium, nvidia = sorted((one, other), key=lambda anchor: not anchor.chip.startswith("Trainium"))
            yield from _pair(trainium, nvidia, prices, models)


def _pair(
    trainium: Anchor, nvidia: Anchor, prices: dict[str, dict[str, PriceObservation]], models: Sequence[str]
) -> Iterator[str]:
    faster = nvidia.tokens_per_second_per_chip / trainium.tokens_per_second_per_chip
    sides = " against ".join(f"{side.chip} ({side.name})" for side in (trainium, nvidia))
    yield f"{trainium.work}, {trainium.precision}: {sides}"
    yield f"  break-even: an hour of one {nvidia.chip} at the price of {faster:.2f} hours of one {trainium.chip}"
    for model in models:
        both = [prices.get(side.instance, {}).get(model) for side in (trainium, nvidia)]
        if both[0] is None or both[1] is None:
            continue
        costs = [_cost(side, price) for side, price in zip((trainium, nvidia), both, strict=True) if price]
        hours = [f"{price.usd_per_hour:g}" for price in both if price]
        yield (
            f"  {model}: {costs[0]:.4f} against {costs[1]:.4f} USD/Mtoken, ratio {costs[0] / costs[1]:.2f} "
            f"({' and '.join(hours)} USD/h of the instances)"
        )


def _cost(anchor: Anchor, price: PriceObservation) -> float:
    assert price.usd_per_hour is not None, "a null price is a MissingPrice"
    return usd_per_million_tokens(price.usd_per_hour, anchor.tokens_per_second_per_instance)


def scenario_lines(scenario: Scenario, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The question, what each side buys under each price, what a point is worth, and all that is assumed."""
    yield scenario.question
    yield ""
    yield from UNMATCHED
    for outcome in outcomes:
        yield ""
        yield from _outcome_lines(outcome)
    yield ""
    yield (
        f"One percentage point of cost per token is worth {short(scenario.budget_usd / 100)} USD at this scale "
        "(derived: 1 % of the budget)."
    )
    if scenario.investment_usd is not None:
        share = affordable_disadvantage(scenario.budget_usd, scenario.investment_usd)
        yield (
            f"{short(scenario.investment_usd)} USD of investment outweigh up to {share:.1%} more per token on "
            f"{scenario.sides[1].name} (derived: investment / budget)."
        )
    yield ""
    yield "Assumptions"
    for one in scenario.assumptions:
        yield f"  {one.provenance}: {one.what}"
        yield f"    {one.source}"


def _outcome_lines(outcome: Outcome) -> Iterator[str]:
    if not outcome.bought:
        yield f"{outcome.purchase_model}: no matched price: {outcome.missing}"
        return
    yield f"{outcome.purchase_model}:"
    for one in outcome.bought:
        cost = f"{one.usd_per_million_tokens:.4f} USD/Mtoken (derived)"
        yield f"  {one.side}: {short(one.tokens)} tokens (projected), {cost}"
        speed = f"{one.anchor.tokens_per_second_per_chip:,.1f} tokens/s a chip"
        yield f"    {speed} ({one.anchor.provenance}, {one.anchor.name})"
        yield f"    {one.price.instance} at {price_text(one.price)}"
    first, second = outcome.bought
    ratio = Interval(estimate=outcome.cost_ratio, low=None, high=None, runs=1, method="none")
    price_ratio = (second.price.usd_per_hour or 0.0) / (first.price.usd_per_hour or 1.0)
    yield (
        f"  a token on {second.side} costs {ratio.estimate:.3f} times one on {first.side}; equal at "
        f"{inverse(ratio).estimate:.3f} times today's price ratio of the instances ({price_ratio:.3f}): no verdict"
    )
