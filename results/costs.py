"""What a case's tokens cost, and under which dated price; or why that cannot be said."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from results.instances import Instance, find_instance
from results.prices import (
    MissingPrice,
    PriceBook,
    PriceObservation,
    load_price_book,
    price_as_of,
    usd_per_million_tokens,
    user_price,
)
from results.summary import CaseSummary

BOOK_MODELS = ("on-demand", "capacity-block")

WHAT_TO_PASS = "pass --instance NAME or --usd-per-hour USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChoice:
    """What the reader says about prices; all optional."""

    as_of: date
    instance: str | None = None
    region: str | None = None
    usd_per_hour: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost per million tokens of the whole rented instance under one price."""

    usd_per_million_tokens: float
    low: float | None
    high: float | None
    """95 % interval, from the throughput's; the price is taken as given."""
    price: PriceObservation


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedCase:
    """A case with its costs by purchase model, and reasons where there are none."""

    summary: CaseSummary
    instance: str | None
    costs: Mapping[str, Cost]
    missing: Mapping[str, str]
    """Purchase model, or "all", -> why there is no cost."""
    idle: str = ""
    """What was rented and not used, if anything: the cost charges the whole instance."""

    @property
    def usd_per_hour(self) -> dict[str, float]:
        """Price of the instance by purchase model, where known."""
        prices = {model: cost.price.usd_per_hour for model, cost in self.costs.items()}
        return {model: usd for model, usd in prices.items() if usd is not None}


def price_case(summary: CaseSummary, choice: PriceChoice) -> PricedCase:
    """Costs of a case under the reader's price, or under the price book for the machine it ran on.

    Raises:
        PriceError: an instance that no table knows, or a price that is not positive.
    """
    instance = choice.instance or summary.first.environment.instance.name
    if choice.usd_per_hour is not None:
        own = user_price(choice.usd_per_hour, instance=instance or "this machine", as_of=choice.as_of)
        return _priced(summary, instance, {"user": own})
    if instance is None:
        return PricedCase(summary=summary, instance=None, costs={}, missing={"all": f"unknown machine: {WHAT_TO_PASS}"})
    priced = _priced(summary, instance, _book_prices(load_price_book(), instance, choice))
    return replace(priced, idle=_idle(summary, find_instance(instance)))


def _idle(summary: CaseSummary, instance: Instance) -> str:
    used, rented = summary.first.case.world_size, instance.accelerator_count or 0
    if used >= rented:
        return ""
    return f"used {used} of {rented} {instance.accelerator} of {instance.name}; the cost charges all"


def _book_prices(book: PriceBook, instance: str, choice: PriceChoice) -> dict[str, PriceObservation | MissingPrice]:
    return {model: price_as_of(book, instance, model, choice.as_of, choice.region) for model in BOOK_MODELS}


def _priced(
    summary: CaseSummary, instance: str | None, prices: Mapping[str, PriceObservation | MissingPrice]
) -> PricedCase:
    missing = {model: price.reason for model, price in prices.items() if isinstance(price, MissingPrice)}
    known = {model: price for model, price in prices.items() if isinstance(price, PriceObservation)}
    if summary.throughput is None:
        return PricedCase(summary=summary, instance=instance, costs={}, missing={"all": "no ranked run"})
    costs = {model: _cost(summary, price) for model, price in known.items()}
    return PricedCase(summary=summary, instance=instance, costs=costs, missing=missing)


def _cost(summary: CaseSummary, price: PriceObservation) -> Cost:
    speed = summary.throughput
    assert speed is not None
    assert price.usd_per_hour is not None, "a null price is a MissingPrice"
    return Cost(
        usd_per_million_tokens=usd_per_million_tokens(price.usd_per_hour, speed.estimate),
        low=None if speed.high is None else usd_per_million_tokens(price.usd_per_hour, speed.high),
        high=None if speed.low is None else usd_per_million_tokens(price.usd_per_hour, speed.low),
        price=price,
    )
