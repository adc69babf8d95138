"""What can be wrong with a file of prices, a discount, or a question to the price book; as ``bad_input``."""

from collections.abc import Callable
from pathlib import Path

from reliability.bad_input import Mistake, write

from results.price_book import COLUMNS

VALIDATE = ("prices", "--validate", "p.csv")
PRICE = "aws,p5.48xlarge,us-east-1,on-demand,quote,50.5,2026-07-20,our contract,"


def _price(old: str, new: str) -> Callable[[Path], object]:
    """A file of two rows, the second of them changed."""
    assert old in PRICE, old
    first = PRICE.replace("us-east-1", "us-east-2")
    return write("p.csv", "\n".join((",".join(COLUMNS), first, PRICE.replace(old, new, 1), "")))


PRICE_MISTAKES = (
    Mistake(
        name="a file of prices that is not there", arguments=("report", "--prices", "p.csv"), said=("p.csv", "No such")
    ),
    Mistake(
        name="a file of prices with other columns",
        arguments=("bench", "--prices", "p.csv"),
        prepare=write("p.csv", "instance,price\np5.48xlarge,50\n"),
        said=("p.csv, line 1", "instance,price", "usd_per_hour"),
    ),
    Mistake(
        name="a price on February 30",
        arguments=VALIDATE,
        prepare=_price("2026-07-20", "2026-02-30"),
        said=("p.csv, line 3", "as_of is '2026-02-30'", "2026-07-20"),
    ),
    Mistake(
        name="a price on a day in other words",
        arguments=VALIDATE,
        prepare=_price("2026-07-20", "26-1-1"),
        said=("p.csv, line 3", "as_of is '26-1-1'", "2026-07-20"),
    ),
    Mistake(
        name="a price of zero in a file",
        arguments=VALIDATE,
        prepare=_price("50.5", "0"),
        said=("p.csv, line 3", "usd_per_hour is '0'", "positive"),
    ),
    Mistake(
        name="a negative price in a file",
        arguments=VALIDATE,
        prepare=_price("50.5", "-1"),
        said=("p.csv, line 3", "usd_per_hour is '-1'", "positive"),
    ),
    Mistake(
        name="a price that is no number in a file",
        arguments=VALIDATE,
        prepare=_price("50.5", "nan"),
        said=("p.csv, line 3", "usd_per_hour is 'nan'", "positive"),
    ),
    Mistake(
        name="a price in euros",
        arguments=VALIDATE,
        prepare=_price("50.5", "€3"),
        said=("p.csv, line 3", "usd_per_hour is '€3'", "US dollars"),
    ),
    Mistake(
        name="a price in another currency, in words",
        arguments=VALIDATE,
        prepare=_price("50.5", "3 EUR"),
        said=("p.csv, line 3", "usd_per_hour is '3 EUR'", "US dollars"),
    ),
    Mistake(
        name="no price and no reason",
        arguments=VALIDATE,
        prepare=_price("50.5", ""),
        said=("p.csv, line 3", "usd_per_hour is empty", "say in note"),
    ),
    Mistake(
        name="a price of an unknown instance",
        arguments=VALIDATE,
        prepare=_price("p5.48xlarge", "p5.48xlrage"),
        said=("p.csv, line 3", "unknown instance 'p5.48xlrage'", "p5.48xlarge"),
    ),
    Mistake(
        name="a price of an unknown purchase model",
        arguments=VALIDATE,
        prepare=_price("on-demand", "reserved-2yr"),
        said=("p.csv, line 3", "purchase_model is 'reserved-2yr'", "reserved-"),
    ),
    Mistake(
        name="a price without a source",
        arguments=VALIDATE,
        prepare=_price("our contract", ""),
        said=("p.csv, line 3", "source is empty"),
    ),
    Mistake(
        name="an instance of two providers",
        arguments=VALIDATE,
        prepare=_price("aws", "lambda"),
        said=("p.csv, line 3", "p5.48xlarge is an instance of aws", "lambda/p5.48xlarge"),
    ),
    Mistake(
        name="two prices for one place and day",
        arguments=VALIDATE,
        prepare=_price("us-east-1", "us-east-2"),
        said=("p.csv, line 3", "a second price"),
    ),
    Mistake(name="the prices of an unknown instance", arguments=("prices", "p5.48xlrage"), said=("p5.48xlarge",)),
    Mistake(
        name="the prices of a name that several providers have",
        arguments=("prices", "1x-H100-SXM-80GB"),
        said=("name the provider", "lambda/1x-H100-SXM-80GB"),
    ),
    Mistake(
        name="a region without the instance",
        arguments=("prices", "p5.48xlarge", "--region", "us-central1"),
        said=("no price of p5.48xlarge for the region us-central1", "us-east-1"),
    ),
    Mistake(name="an explanation of nothing", arguments=("prices", "--explain"), said=("--explain", "an instance")),
    Mistake(
        name="prices of a time before all prices",
        arguments=("prices", "p5.48xlarge", "--as-of", "2020-01-01"),
        said=("2020-01-01", "2023-09-18"),
    ),
    Mistake(name="a discount without a percentage", arguments=("bench", "--discount", "p5.48xlarge=30"), said=("30%",)),
    Mistake(name="a discount of all", arguments=("bench", "--discount", "p5.48xlarge=100%"), said=("less than 100 %",)),
    Mistake(
        name="a discount on an unknown instance",
        arguments=("bench", "--discount", "p5.48xlrage=30%"),
        said=("p5.48xlrage", "p5.48xlarge"),
    ),
    Mistake(name="a bill of nothing", arguments=("cost",), said=("--tokens", "--scenario")),
    Mistake(
        name="a bill of no known speed", arguments=("cost", "--tokens", "1T"), said=("records or --tokens-per-second",)
    ),
    Mistake(
        name="a number of tokens that is none",
        arguments=("cost", "--tokens", "15X", "--tokens-per-second", "5"),
        said=("15X", "15T"),
    ),
    Mistake(
        name="a goodput above one",
        arguments=("cost", "--tokens", "1T", "--tokens-per-second", "5", "--goodput", "2"),
        said=("goodput is 2", "0.9"),
    ),
    Mistake(
        name="an unknown scenario",
        arguments=("cost", "--scenario", "openai-on-azure"),
        said=("openai-on-azure", "openai-on-aws"),
    ),
)
