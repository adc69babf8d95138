"""What a case's tokens cost, and under which dated price; or why that cannot be said."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from results.errors import PriceError
from results.instances import Instance, find_instance, load_instances
from results.names import did_you_mean
from results.own_prices import discounted, load_own_prices, price_held
from results.prices import (
    EVERY_REGION,
    MissingPrice,
    PriceBook,
    PriceObservation,
    known_instances,
    load_price_book,
    usd_per_million_tokens,
    user_price,
)
from results.purchase_models import PURCHASE_MODELS
from results.record import Instance as DetectedInstance
from results.run_length import Running
from results.summary import CaseSummary, took_seconds

BOOK_MODELS = ("on-demand", "capacity-block")

MODELS_TOLD = (*BOOK_MODELS, "spot")
"""What a machine may say of how it was bought and be believed."""

WHAT_TO_PASS = "pass --instance NAME or --usd-per-hour USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceChoice:
    """What the reader says about prices; all optional."""

    as_of: date
    instance: str | None = None
    region: str | None = None
    usd_per_hour: float | None = None
    goodput: float = 1.0
    """Share of the rented time that makes useful tokens; what is idle, restarted or repeated is the rest."""
    files: tuple[Path, ...] = ()
    """The reader's own prices, in files like the book; they stand before it."""
    discounts: Mapping[str, float] = field(default_factory=dict)
    """Instance -> the share by which its list prices are lower for the reader."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Cost per million tokens of the whole rented instance under one price."""

    usd_per_million_tokens: float
    low: float | None
    high: float | None
    """95 % interval, from the throughput's; the price is taken as given."""
    price: PriceObservation
    pro_rata: float | None = None
    """The same by chip-seconds used, where chips were left idle; None where all were used, or there are none."""


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
    rented: Instance | None = None
    """What a table says of the instance."""
    goodput: float = 1.0
    """In the costs, as the reader gave it."""
    bought_as: str | None = None
    """The purchase model that the machine told, if its runs agree on one."""
    region: str | None = None
    """Where its prices are looked up first: as the reader says, else as the machine told."""

    @property
    def machine_seconds(self) -> float:
        """Machine time that its runs took, start-up and failures included: what the benchmark itself cost."""
        return sum(map(took_seconds, self.summary.records))

    @property
    def usd_per_hour(self) -> dict[str, float]:
        """Price of the instance by purchase model, where known."""
        prices = {model: cost.price.usd_per_hour for model, cost in self.costs.items()}
        return {model: usd for model, usd in prices.items() if usd is not None}


def require_usable(choice: PriceChoice) -> None:
    """Refuse a choice that names something unknown, before anything is measured.

    Raises:
        PriceError: an instance or region that no table knows, a price that is not positive, or an unusable file.
    """
    own = load_own_prices(choice.files)
    for name in (choice.instance, *choice.discounts):
        if name is not None and name not in known_instances(own):
            find_instance(name)
    regions = {price.region for price in (*own, *load_price_book())} - {"", EVERY_REGION}
    if choice.region is not None and choice.region not in regions:
        raise PriceError(f"unknown region {choice.region!r}", did_you_mean(choice.region, regions))
    if choice.usd_per_hour is not None:
        user_price(choice.usd_per_hour, instance="this machine", as_of=choice.as_of)
    Running(tokens_per_second=1.0, goodput=choice.goodput)


def price_case(summary: CaseSummary, choice: PriceChoice) -> PricedCase:
    """Costs of a case under the reader's price, or under the price book for the machine it ran on.

    A machine that was detected is never replaced by ``choice.instance``, which names the ones that were not; its own
    region counts where the reader gave none, and the model under which it was bought comes first.

    Raises:
        PriceError: a chosen instance or region that no table knows, or a price that is not positive.
    """
    require_usable(choice)
    machine = machine_of(summary)
    name = machine.name or choice.instance
    rented = known_instance(name)
    priced = _priced(summary, name, prices_of(machine, choice), choice.goodput)
    priced = replace(priced, rented=rented, goodput=choice.goodput, bought_as=machine.purchase_model)
    priced = replace(priced, region=choice.region or machine.region)
    if rented is None or not (idle := _idle(summary, rented)):
        return priced
    share = _used_chips(summary) / (rented.accelerator_count or 1)
    costs = {model: replace(cost, pro_rata=cost.usd_per_million_tokens * share) for model, cost in priced.costs.items()}
    return replace(priced, idle=idle, costs=costs if share else priced.costs)


def prices_of(machine: DetectedInstance, choice: PriceChoice) -> dict[str, PriceObservation | MissingPrice]:
    """By purchase model, the price of a machine: the reader's own, else the book's; under "all", why there is none.

    ``machine`` as detected; what it does not know of itself, the reader may say.
    """
    name = machine.name or choice.instance
    if choice.usd_per_hour is not None:
        return {"user": user_price(choice.usd_per_hour, instance=name or "this machine", as_of=choice.as_of)}
    own = known_instances(load_own_prices(choice.files))
    if name is None or (known_instance(name) is None and name not in own):
        reason = f"{name} is in no table: pass --usd-per-hour USD" if name else f"unknown machine: {WHAT_TO_PASS}"
        return {"all": MissingPrice(instance=name or "", purchase_model="all", as_of=choice.as_of, reason=reason)}
    return _book_prices(load_price_book(), name, machine, choice)


def rent(machine: DetectedInstance, choice: PriceChoice) -> tuple[float | None, str]:
    """USD per hour of the machine that is used now and under which model, or None and why not.

    The reader's own, else of ``machine`` (as detected, or as the reader says) the model under which it was bought, or
    the first of the book's that has a price.

    Raises:
        PriceError: as `require_usable`.
    """
    require_usable(choice)
    prices = prices_of(machine, choice)
    for model, price in prices.items():
        if isinstance(price, PriceObservation) and price.usd_per_hour is not None:
            return price.usd_per_hour, model
    return None, "; ".join(price.reason for price in prices.values() if isinstance(price, MissingPrice))


def known_instance(name: str | None) -> Instance | None:
    """The instance of that name in the shipped table, or None."""
    return next((instance for instance in load_instances() if instance.name == name), None)


def _idle(summary: CaseSummary, instance: Instance) -> str:
    used, rented = _used_chips(summary), instance.accelerator_count or 0
    if used >= rented:
        return ""
    return f"used {used:g} of {rented} {instance.accelerator} of {instance.name}; the cost charges all"


def _used_chips(summary: CaseSummary) -> float:
    case = summary.first.case
    return 0 if case.device_type == "cpu" else case.chips


def machine_of(summary: CaseSummary) -> DetectedInstance:
    """The machine of a case as detected. Hosts of a type may differ in region and purchase: then the case has none."""
    machines = [record.environment.instance for record in summary.records]
    region = agreed(machine.region for machine in machines)
    model = agreed(machine.purchase_model for machine in machines)
    return machines[0].model_copy(update={"region": region, "purchase_model": model})


def agreed(values: Iterable[str | None]) -> str | None:
    """The one value of those that are known, or None."""
    known = {value for value in values if value is not None}
    return known.pop() if len(known) == 1 else None


def _book_prices(
    book: PriceBook, name: str, machine: DetectedInstance, choice: PriceChoice
) -> dict[str, PriceObservation | MissingPrice]:
    """By purchase model; why there is none of the usual ones, and of those in the reader's own files."""
    own = [price for price in load_own_prices(choice.files) if price.instance == name]
    wanted = dict.fromkeys((*models_in_order(machine.purchase_model), *(price.purchase_model for price in own)))
    others = [model for model in PURCHASE_MODELS if model not in wanted and model != "user"]
    found = {model: _held(own, book, name, model, machine.region, choice) for model in (*wanted, *others)}
    return {model: price for model, price in found.items() if model in wanted or isinstance(price, PriceObservation)}


def _held(
    own: PriceBook, book: PriceBook, name: str, model: str, region: str | None, choice: PriceChoice
) -> PriceObservation | MissingPrice:
    price = price_held(own, book, name, model, choice.as_of, choice.region or region)
    if price is None:
        return _unpriced(name, model, choice.as_of)
    share = choice.discounts.get(name)
    return price if share is None or isinstance(price, MissingPrice) else discounted(price, share)


def models_in_order(bought_as: str | None) -> tuple[str, ...]:
    """The usual purchase models, first the one under which a machine says that it was bought."""
    return tuple(dict.fromkeys((bought_as, *BOOK_MODELS))) if bought_as in MODELS_TOLD else BOOK_MODELS


def _unpriced(instance: str, model: str, as_of: date) -> MissingPrice:
    reason = f"the price book has no row of {instance}: pass --usd-per-hour USD"
    return MissingPrice(instance=instance, purchase_model=model, as_of=as_of, reason=reason)


def _priced(
    summary: CaseSummary,
    instance: str | None,
    prices: Mapping[str, PriceObservation | MissingPrice],
    goodput: float,
) -> PricedCase:
    missing = {model: price.reason for model, price in prices.items() if isinstance(price, MissingPrice)}
    known = {model: price for model, price in prices.items() if isinstance(price, PriceObservation)}
    if summary.throughput is None:
        return PricedCase(summary=summary, instance=instance, costs={}, missing={"all": "no ranked run"})
    costs = {model: _cost(summary, price, goodput) for model, price in known.items()}
    return PricedCase(summary=summary, instance=instance, costs=costs, missing=missing)


def _cost(summary: CaseSummary, price: PriceObservation, goodput: float) -> Cost:
    assert summary.throughput is not None
    speed = summary.throughput.times(goodput)
    assert price.usd_per_hour is not None, "a null price is a MissingPrice"
    return Cost(
        usd_per_million_tokens=usd_per_million_tokens(price.usd_per_hour, speed.estimate),
        low=None if speed.high is None else usd_per_million_tokens(price.usd_per_hour, speed.high),
        high=None if speed.low is None else usd_per_million_tokens(price.usd_per_hour, speed.low),
        price=price,
    )
