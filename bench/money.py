"""Planned runs, scenarios and published anchors: asked of results, printed on standard output."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.errors import UsageError
from results.anchors import load_anchors
from results.budget_scenario import load_scenario, outcomes
from results.costs import BOOK_MODELS, PriceChoice, prices_of, require_usable
from results.money_text import UNMATCHED, anchor_lines, bill_lines, pair_lines, scenario_lines
from results.prices import MissingPrice, PriceObservation, load_price_book, price_as_of
from results.quantities import parse_quantity, short
from results.record import Instance
from results.run_length import LEFT_OUT, Running
from results.stats import Interval
from results.training_bill import training_bill

COLUMNS = 100

Case = tuple[str, Interval, float, Instance]
"""Name, tokens per second of an instance, start-up in seconds, machine as detected."""


def print_scenario(name: str, choice: PriceChoice) -> None:
    """What a budget buys on either side.

    Raises:
        PriceError: no such scenario, or one that cannot be priced.
    """
    require_usable(choice)
    scenario = load_scenario(name)
    found = outcomes(scenario, load_price_book(), choice.as_of, choice.region)
    _print(scenario_lines(scenario, found))


def print_anchors(choice: PriceChoice) -> None:
    """Published results, and what they cost under the prices of a day.

    Raises:
        PriceError: an unknown region.
    """
    require_usable(choice)
    anchors = load_anchors()
    prices = {anchor.instance: _observed(anchor.instance, choice) for anchor in anchors if anchor.instance}
    _print([*anchor_lines(anchors), "", *UNMATCHED, f"Prices as of {choice.as_of}.", ""])
    _print(pair_lines(anchors, prices, BOOK_MODELS))


def _observed(instance: str, choice: PriceChoice) -> dict[str, PriceObservation]:
    book = load_price_book()
    found = {model: price_as_of(book, instance, model, choice.as_of, choice.region) for model in BOOK_MODELS}
    return {model: price for model, price in found.items() if isinstance(price, PriceObservation)}


def print_bills(
    records: Sequence[Path] | None,
    tokens: str | None,
    tokens_per_second: float | None,
    count: int,
    start_up_seconds: float,
    choice: PriceChoice,
) -> None:
    """Days and dollars of a run of so many tokens, for each case and purchase model.

    Raises:
        UsageError: no tokens, or neither or both of records and a throughput.
        PriceError: a number or a name that cannot be.
    """
    if tokens is None:
        raise UsageError("cost needs --tokens or --scenario", "for example: --tokens 15T --tokens-per-second 52000")
    if bool(records) == (tokens_per_second is not None):
        raise UsageError("give either records or --tokens-per-second", "see: fairchip cost --help")
    require_usable(choice)
    wanted = parse_quantity(tokens, "the number of tokens")
    cases = [_given(tokens_per_second, start_up_seconds)] if tokens_per_second is not None else _measured(records or ())
    for name, speed, start_up, detected in cases:
        running = Running(tokens_per_second=speed.estimate, start_up_seconds=start_up, goodput=choice.goodput)
        _print([_heading(name, wanted, speed, count, choice.goodput, start_up)])
        for model, price in prices_of(detected, choice).items():
            bill = price if isinstance(price, MissingPrice) else training_bill(wanted, speed, running, price, count)
            _print(f"  {line}" for line in bill_lines(model, bill))
    print(LEFT_OUT)


def _print(lines: Iterable[str]) -> None:
    """Wrapped at 100 columns, continued below the beginning; no word and no number is cut."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        print(textwrap.fill(line, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))


def _heading(name: str, tokens: float, speed: Interval, count: int, goodput: float, start_up: float) -> str:
    scaled = f", {count} of them taken to be {count} times as fast (projected)" if count > 1 else ""
    paid = f", start-up {start_up:,.0f} s" if start_up else ""
    speeds = f"{speed.estimate:,.0f} tokens/s an instance{scaled}, goodput {goodput:g}{paid}"
    return f"{short(tokens)} tokens, {name}: {speeds}"


def _given(tokens_per_second: float, start_up_seconds: float) -> Case:
    if not 0 < tokens_per_second < float("inf"):
        raise UsageError(f"--tokens-per-second is {tokens_per_second:g}", "give a positive number")
    speed = Interval(estimate=tokens_per_second, low=None, high=None, runs=1, method="none")
    return "given throughput", speed, start_up_seconds, Instance(provider=None, name=None, source="none")


def _measured(paths: Sequence[Path]) -> Iterator[Case]:
    """Every ranked case of the records; start-up is the cold one where it was measured."""
    from results.compare import group_cases
    from results.store import load_all

    found = False
    for summary in group_cases({"": load_all(list(paths))}):
        if summary.throughput is not None:
            found = True
            start_up = summary.cold_start_seconds or summary.warm_start_seconds or 0.0
            name = f"{summary.first.case.workload} on {summary.label} (measured)"
            yield name, summary.throughput, start_up, summary.first.environment.instance
    if not found:
        raise UsageError("no record here has a ranked run", "see why: fairchip report RECORDS")
