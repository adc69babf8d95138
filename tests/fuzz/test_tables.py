"""Tables of prices, instances and accelerators: bad rows are refused by line, good ones can be priced with."""

import csv
import io
from datetime import date

import pytest
from fuzz.inputs import EXTREMES, fuzzed, mostly, mutated_bytes, texts
from fuzz.tally import taken
from hypothesis import given
from hypothesis import strategies as st

from results.errors import PriceError
from results.instances import load_instances
from results.peaks import load_accelerators
from results.price_book import KINDS, PURCHASE_MODELS, load_price_book
from results.prices import known_instances, price_as_of, usd_per_million_tokens, user_price
from results.prices_apart import load_prices_apart
from results.tables import DATA_DIRECTORY

READERS = {
    "prices": load_price_book,
    "prices-apart": load_prices_apart,
    "instances": load_instances,
    "accelerators": load_accelerators,
}
TOKENS = (b",", b'"', b'""', b"\n", b"\r", b"\r\n", b",,", b"nan", b"inf", b"-1", b"0", b"1e999", b"1_0", b"9" * 5000)
TOKENS += (b"\x00", b"\xff", b"\xef\xbb\xbf", b"2026-02-30", b"20260101", b"=1+1", b"\xd9\xa1", b"x" * 200_000)
DAY = date(2026, 7, 20)


def start(name: str) -> bytes:
    """The first lines of a shipped table."""
    return b"".join((DATA_DIRECTORY / f"{name}.csv").read_bytes().splitlines(keepends=True)[:4])


@pytest.mark.parametrize("name", READERS)
@fuzzed(300)
@given(data=st.data())
def test_bytes(name: str, data: st.DataObject, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / f"{name}.csv"
    path.write_bytes(data.draw(mutated_bytes(start(name), TOKENS)))
    found = taken(f"{name} CSV, bytes", lambda: READERS[name](path), PriceError, str(path))
    if found and name == "prices":
        require_priceable(found)


prices = st.tuples(
    mostly(st.just("aws"), texts),
    mostly(st.sampled_from(["c8i.2xlarge", "p5.48xlarge"]), texts),
    mostly(st.sampled_from(["us-east-1", "*", ""]), texts),
    st.sampled_from(PURCHASE_MODELS[:-1]),
    st.sampled_from(KINDS),
    mostly(st.floats(1e-16, 1e16).map(str) | st.just(""), texts | st.sampled_from(EXTREMES).map(str)),
    mostly(st.dates(date(2020, 1, 1), date(2030, 1, 1)).map(str), texts),
    mostly(st.just("a page"), texts),
    mostly(st.just("why"), texts),
)


@fuzzed(400)
@given(rows=st.lists(prices, max_size=3))
def test_structure(rows: list[tuple[str, ...]], tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "prices.csv"
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows([start("prices").decode().splitlines()[0].split(","), *rows])
    path.write_text(lines.getvalue(), encoding="utf-8", newline="")
    book = taken("prices CSV, structure", lambda: load_price_book(path), PriceError, str(path))
    if book:
        require_priceable(book)


def require_priceable(book) -> None:
    """Every instance has a price or a reason, and every price gives a cost."""
    for instance in known_instances(book):
        for model in PURCHASE_MODELS:
            found = price_as_of(book, instance, model, DAY, max_age_days=10_000)
            price = getattr(found, "usd_per_hour", None)
            assert usd_per_million_tokens(price, 1e3) > 0 if price is not None else found.reason


@fuzzed(300)
@given(usd=st.floats() | st.sampled_from([number for number in EXTREMES if isinstance(number, int | float)]))
def test_a_price_of_ones_own(usd: float) -> None:
    found = taken("price of one's own", lambda: user_price(usd, instance="mine", as_of=DAY), PriceError)
    if found is not None:
        assert 0 < usd_per_million_tokens(usd, 1e-11) < float("inf")
        assert 0 < usd_per_million_tokens(usd, 1e28) < float("inf")
