"""What a training run of so many tokens takes: days and dollars, with the interval of the throughput they come from."""

from dataclasses import dataclass, replace

from results.errors import PriceError
from results.prices import PriceObservation, usd_per_million_tokens
from results.run_length import Running
from results.stats import Interval

SECONDS_PER_DAY = 86400.0
HOURS_PER_DAY = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """Days and dollars of one run."""

    instance: str
    count: int
    price: PriceObservation
    days: Interval
    usd: Interval
    usd_per_million_tokens: Interval
    """Start-up and lost time included."""


def training_bill(
    tokens: float,
    tokens_per_second: Interval,
    running: Running,
    price: PriceObservation,
    count: int = 1,
) -> Bill:
    """The bill for ``tokens`` on ``count`` instances of ``tokens_per_second`` each, at one price.

    ``running`` gives start-up and goodput; its throughput is replaced. Several instances are taken to be as many times
    as fast, which is a projection: nobody measured it.

    Raises:
        PriceError: tokens or instances that are no positive numbers.
    """
    if not 0 < tokens < float("inf"):
        raise PriceError(f"the number of tokens is {tokens:g}", "give a positive number, such as 15T")
    if count < 1:
        raise PriceError(f"the number of instances is {count}", "give 1 or more")
    assert price.usd_per_hour is not None, "a null price is a MissingPrice"

    def days(speed: float | None) -> float | None:
        if speed is None:
            return None
        return replace(running, tokens_per_second=speed * count).seconds_for(tokens) / SECONDS_PER_DAY

    slowest, fastest = days(tokens_per_second.low), days(tokens_per_second.high)
    middle = days(tokens_per_second.estimate)
    assert middle is not None
    taken = replace(tokens_per_second, estimate=middle, low=fastest, high=slowest)
    usd = taken.times(HOURS_PER_DAY * price.usd_per_hour * count)
    return Bill(
        instance=price.instance,
        count=count,
        price=price,
        days=taken,
        usd=usd,
        usd_per_million_tokens=usd.times(1e6 / tokens),
    )


def tokens_for(budget_usd: float, tokens_per_second: float, usd_per_hour: float, goodput: float = 1.0) -> float:
    """Tokens that a budget buys of a machine: budget over cost per token; start-up is nothing at such lengths.

    Raises:
        PriceError: a budget, price, throughput or goodput that is none.
    """
    if not 0 < budget_usd < float("inf"):
        raise PriceError(f"the budget is {budget_usd:g} USD", "give a positive number, such as 38e9")
    useful = Running(tokens_per_second=tokens_per_second, goodput=goodput).useful_tokens_per_second
    return budget_usd / usd_per_million_tokens(usd_per_hour, useful) * 1e6
