"""The reader's own prices stand before the book, a discount takes its share, and what is kept apart is never used."""

import csv
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_cases import case, sections

from results.costs import PriceChoice
from results.errors import PriceError
from results.own_prices import discounted, load_own_prices, parse_discounts, price_held
from results.price_book import COLUMNS, EVERY_REGION, KINDS, PriceObservation, load_price_book
from results.price_explanation import explain
from results.price_selection import cells
from results.prices import MissingPrice, known_instances, price_as_of, usd_per_million_tokens
from results.prices_apart import load_prices_apart
from results.purchase_models import PURCHASE_MODELS
from results.render import markdown

BOOK = load_price_book()
TODAY = date(2026, 11, 22)
GOOD = "aws,p5en.48xlarge,us-east-2,on-demand,quote,45.5,2026-11-02,an offer,"

words = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=12)
observations = st.builds(
    PriceObservation,
    provider=words,
    instance=words,
    region=st.sampled_from(["", EVERY_REGION, "us-east-1"]),
    purchase_model=st.sampled_from(PURCHASE_MODELS[:-1]),
    kind=st.sampled_from(KINDS),
    usd_per_hour=st.floats(1e-6, 1e6),
    as_of=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
    source=words,
    note=words | st.just(""),
)


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join((",".join(COLUMNS), *rows)) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return write(tmp_path / "mine.csv", GOOD)


def on_p5en(**choice: object) -> dict[str, float]:
    """USD per hour by purchase model of a case on a p5en.48xlarge."""
    asked = PriceChoice(as_of=TODAY, instance="p5en.48xlarge", **choice)  # type: ignore[arg-type]
    (section,) = sections(case("torch-cpu", 1000.0), choice=asked)
    return section.cases[0].usd_per_hour


@given(observations)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_written_row_is_read_back(tmp_path: Path, price: PriceObservation) -> None:
    path = tmp_path / "book.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, cells(price)])
    assert load_price_book(path) == (price,)


@given(st.floats(1e-3, 1e4), st.floats(1e-3, 1e9), st.floats(1e-6, 0.999999))
def test_a_discount_takes_its_share_of_the_cost(usd_per_hour: float, speed: float, share: float) -> None:
    price = BOOK[0]
    lower = discounted(_at(price, usd_per_hour), share).usd_per_hour
    assert lower is not None
    full = usd_per_million_tokens(usd_per_hour, speed)
    assert usd_per_million_tokens(lower, speed) == pytest.approx(full * (1 - share))


def _at(price: PriceObservation, usd_per_hour: float) -> PriceObservation:
    return PriceObservation(
        **{name: getattr(price, name) for name in PriceObservation.__slots__} | {"usd_per_hour": usd_per_hour}
    )


@given(
    st.sampled_from(known_instances(BOOK)),
    st.sampled_from(["on-demand", "capacity-block", "spot"]),
    st.dates(date(2024, 1, 1), date(2027, 1, 1)),
    st.floats(1e-3, 1e4),
    st.integers(-10, 500),
)
def test_a_file_stands_before_the_book_while_it_is_of_the_time(
    instance: str, model: str, day: date, usd_per_hour: float, age_days: int
) -> None:
    row = PriceObservation(
        provider="us",
        instance=instance,
        region="elsewhere",
        purchase_model=model,
        kind="quote",
        usd_per_hour=usd_per_hour,
        as_of=date.fromordinal(day.toordinal() - age_days),
        source="an offer",
    )
    found = price_held([row], BOOK, instance, model, day)
    assert found == (row if 0 <= age_days <= 400 else price_as_of(BOOK, instance, model, day))


@given(
    st.sampled_from(known_instances(BOOK)),
    st.sampled_from(["on-demand", "capacity-block", "spot", "savings-plan-1yr"]),
    st.dates(date(2023, 1, 1), date(2028, 1, 1)),
    st.sampled_from([None, "us-east-1", "us-east-2", "eu-west-2", "us-central1"]),
)
def test_an_explanation_explains_the_price_that_holds(instance: str, model: str, day: date, region: str | None) -> None:
    told = explain((), BOOK, instance, model, day, region)
    assert told.found == price_as_of(BOOK, instance, model, day, region)
    rows = [price for price in BOOK if (price.instance, price.purchase_model) == (instance, model)]
    assert sum(map(len, told.passed_over.values())) == len(rows) - (told.held is not None)
    if isinstance(told.found, PriceObservation):
        assert told.held == told.found
        assert told.region_rule


def test_the_order_of_ones_own_prices(mine: Path) -> None:
    assert on_p5en()["on-demand"] == 63.296
    assert on_p5en(files=(mine,)) == {"on-demand": 45.5, "capacity-block": 63.158, "spot": 27.1988}
    assert on_p5en(files=(mine,), usd_per_hour=1.0) == {"user": 1.0}


def test_a_discount_is_a_quote_of_the_reader_and_only_off_list_prices(mine: Path) -> None:
    half = {"p5en.48xlarge": 0.5}
    assert on_p5en(discounts=half) == {"on-demand": 63.296 / 2, "capacity-block": 63.158 / 2, "spot": 27.1988}
    assert on_p5en(discounts=half, files=(mine,))["on-demand"] == 45.5
    assert on_p5en(discounts={"p5.48xlarge": 0.5}) == on_p5en()
    choice = PriceChoice(as_of=TODAY, instance="p5en.48xlarge", discounts=half)
    said = markdown(sections(case("torch-cpu", 1000.0), choice=choice))
    assert "quote, us-east-1, 2026-08-06; 50 % off 63.296 USD/h (list), given by the user; dstack" in said


def test_a_model_that_only_a_file_has_and_a_machine_that_only_a_file_knows(tmp_path: Path) -> None:
    plan = write(tmp_path / "plan.csv", GOOD.replace("on-demand", "savings-plan-3yr-all-upfront"))
    assert on_p5en(files=(plan,))["savings-plan-3yr-all-upfront"] == 45.5
    rack = write(tmp_path / "rack.csv", GOOD.replace("p5en.48xlarge", "rack-7").replace("on-demand", "owned"))
    choice = PriceChoice(as_of=TODAY, instance="rack-7", files=(rack,))
    (section,) = sections(case("torch-cpu", 1000.0), choice=choice)
    assert section.cases[0].usd_per_hour == {"owned": 45.5}
    assert "$/Mtoken: owned" in markdown([section])


def test_a_file_that_says_there_is_no_price_is_believed(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.csv", GOOD.replace("45.5", "") + "not sold to us")
    found = price_held(load_own_prices([path]), BOOK, "p5en.48xlarge", "on-demand", TODAY)
    assert isinstance(found, MissingPrice)
    assert "not sold to us" in found.reason


def test_rows_of_two_files_may_not_contradict_each_other(mine: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.csv", GOOD.replace("45.5", "44"))
    with pytest.raises(PriceError, match=r"other\.csv, line 2: a second price"):
        load_own_prices([mine, other])


def test_discounts() -> None:
    assert parse_discounts(["a=30%", "b = 12.5 %"]) == {"a": 0.3, "b": 0.125}
    for bad in ("a", "a=30", "a=%", "=30%", "a=-3%", "a=0%", "a=100%", "a=nan%", "a=1e1%"):
        with pytest.raises(PriceError, match="--discount") as caught:
            parse_discounts([bad])
        assert caught.value.hint
    with pytest.raises(PriceError, match="two discounts for a"):
        parse_discounts(["a=3%", "a=4%"])


class TestApart:
    def test_each_says_why(self) -> None:
        for price in load_prices_apart():
            assert price.note.startswith(("undated: ", "derived: ", "low end ", "no instance type ")), price
            assert (price.as_of is None) == price.note.startswith("undated: ")

    def test_none_enters_the_book(self) -> None:
        sources = {price.source for price in load_prices_apart() if price.as_of is None}
        assert not sources & {price.source for price in BOOK}
        apart = {cells(price)[:7] for price in load_prices_apart()}
        assert not apart & {cells(price)[:7] for price in BOOK}

    def test_none_is_a_price(self) -> None:
        assert not any(isinstance(price, PriceObservation) for price in load_prices_apart())
