"""The price book is strict, the price of a day is the right one, and no missing price is ever 0."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.errors import PriceError, ResultsError
from results.instances import find_instance, load_instances
from results.price_book import COLUMNS, load_price_book
from results.prices import (
    PURCHASE_MODELS,
    Kind,
    MissingPrice,
    PriceObservation,
    PurchaseModel,
    closest,
    known_instances,
    price_as_of,
    usd_per_million_tokens,
    user_price,
)

BOOK = load_price_book()
HEADER = ",".join(COLUMNS)
GOOD = "aws,p5.48xlarge,us-east-1,on-demand,list,55.04,2026-07-20,a page,a note"


def priced(
    usd_per_hour: float | None,
    as_of: str,
    *,
    region: str = "us-east-1",
    purchase_model: PurchaseModel = "on-demand",
    kind: Kind = "list",
    note: str = "",
) -> PriceObservation:
    return PriceObservation(
        provider="aws",
        instance="p5.48xlarge",
        region=region,
        purchase_model=purchase_model,
        kind=kind,
        usd_per_hour=usd_per_hour,
        as_of=date.fromisoformat(as_of),
        source="a page",
        note=note,
    )


def on(
    day: str, *book: PriceObservation, region: str | None = None, max_age_days: int = 400
) -> PriceObservation | MissingPrice:
    asked = date.fromisoformat(day)
    return price_as_of(book, "p5.48xlarge", "on-demand", asked, region, max_age_days)


def usd(found: PriceObservation | MissingPrice) -> float:
    assert isinstance(found, PriceObservation), found
    assert found.usd_per_hour is not None
    return found.usd_per_hour


def write_book(directory: Path, *lines: str) -> Path:
    path = directory / "book.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestLoading:
    def test_a_good_row(self, tmp_path: Path) -> None:
        (price,) = load_price_book(write_book(tmp_path, HEADER, "", GOOD))
        assert price == priced(55.04, "2026-07-20", note="a note")

    def test_an_empty_price_with_a_note_is_none(self, tmp_path: Path) -> None:
        (price,) = load_price_book(write_book(tmp_path, HEADER, GOOD.replace("55.04", "")))
        assert price.usd_per_hour is None

    @pytest.mark.parametrize(
        ("old", "new", "what"),
        [
            ("on-demand", "on_demand", "purchase_model"),
            ("on-demand", "user", "user"),
            (",list,", ",rumour,", "kind"),
            (",list,", ",,", "kind"),
            ("55.04", "0", "usd_per_hour"),
            ("55.04", "-1", "usd_per_hour"),
            ("55.04", "inf", "usd_per_hour"),
            ("55.04", "nan", "usd_per_hour"),
            ("55.04", "missing", "usd_per_hour"),
            ("55.04", "€3", "usd_per_hour"),
            ("55.04", "3 EUR", "usd_per_hour"),
            ("aws", "lambda", "p5.48xlarge is an instance of aws"),
            ("55.04,2026-07-20,a page,a note", ",2026-07-20,a page,", "note"),
            ("2026-07-20", "2026-07", "as_of"),
            ("2026-07-20", "20260720", "as_of"),
            ("2026-07-20", "2026-02-30", "as_of"),
            ("2026-07-20", "26-1-1", "as_of"),
            ("2026-07-20", "", "as_of"),
            ("a page", " ", "source"),
            ("p5.48xlarge", "", "instance"),
            ("aws", "", "provider"),
            (",a note", "", "8 cells"),
            (",a note", ",a note,more", "10 cells"),
        ],
    )
    def test_a_bad_row_is_named_with_file_line_and_hint(self, tmp_path: Path, old: str, new: str, what: str) -> None:
        path = write_book(tmp_path, HEADER, GOOD.replace("us-east-1", "us-east-2"), GOOD.replace(old, new))
        with pytest.raises(PriceError) as caught:
            load_price_book(path)
        assert f"{path}, line 3: " in caught.value.message
        assert what in caught.value.message
        assert caught.value.hint

    @pytest.mark.parametrize(
        ("old", "new", "hint"),
        [
            ("55.04", "€3", "positive number of US dollars"),
            ("on-demand", "reserved-1y", "did you mean reserved-1yr?"),
            ("55.04,2026-07-20,a page,a note", ",2026-07-20,a page,", "say in note why"),
            ("2026-07-20", "26-1-1", "an ISO date such as 2026-07-20"),
            ("aws", "lambda", "lambda/p5.48xlarge"),
            (",list,", ",rumour,", "list, quote, paid"),
            (",a note", ",a note, and more", "quote a cell that holds a comma"),
        ],
    )
    def test_a_contributor_is_told_what_would_be_right(self, tmp_path: Path, old: str, new: str, hint: str) -> None:
        path = write_book(tmp_path, HEADER, GOOD.replace("us-east-1", "us-east-2"), GOOD.replace(old, new))
        with pytest.raises(PriceError) as caught:
            load_price_book(path)
        assert hint in caught.value.hint
        assert "\n" not in caught.value.message + caught.value.hint

    @pytest.mark.parametrize("model", PURCHASE_MODELS[:-1])
    def test_every_purchase_model_but_the_users_can_be_in_a_book(self, tmp_path: Path, model: str) -> None:
        (price,) = load_price_book(write_book(tmp_path, HEADER, GOOD.replace("on-demand", model)))
        assert price.purchase_model == model

    def test_a_second_price_for_the_same_place_and_day(self, tmp_path: Path) -> None:
        with pytest.raises(PriceError, match="line 3: a second price"):
            load_price_book(write_book(tmp_path, HEADER, GOOD, GOOD.replace("55.04", "50")))

    @pytest.mark.parametrize("header", ["", HEADER.replace("region", "zone"), HEADER + ",more"])
    def test_wrong_columns(self, tmp_path: Path, header: str) -> None:
        with pytest.raises(PriceError, match="line 1: the columns are") as caught:
            load_price_book(write_book(tmp_path, header, GOOD))
        assert HEADER in caught.value.hint

    @pytest.mark.parametrize("content", [None, b"\xff\xfe", b'provider,"instance'])
    def test_an_unreadable_file(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "book.csv"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(PriceError, match="cannot be read"):
            load_price_book(path)


class TestAsOf:
    def test_the_last_observation_at_or_before_the_day(self) -> None:
        book = (priced(10, "2026-01-01"), priced(20, "2026-03-01"), priced(30, "2026-05-01"))
        assert usd(on("2026-02-28", *book)) == 10
        assert usd(on("2026-03-01", *book)) == 20
        assert usd(on("2027-01-01", *book)) == 30

    def test_nothing_so_early(self) -> None:
        found = on("2025-12-31", priced(10, "2026-01-01"), priced(5, "2025-06-01", purchase_model="capacity-block"))
        assert isinstance(found, MissingPrice)
        assert found.reason == (
            "no on-demand price of p5.48xlarge at or before 2025-12-31, the first is of 2026-01-01; "
            "there is capacity-block"
        )

    def test_the_age_limit(self) -> None:
        book = priced(10, "2026-01-01")
        assert usd(on("2026-01-31", book, max_age_days=30)) == 10
        found = on("2026-02-01", book, max_age_days=30)
        assert isinstance(found, MissingPrice)
        assert found.reason.endswith("is of 2026-01-01, more than 30 days earlier")

    def test_the_region_asked_for(self) -> None:
        book = (priced(10, "2026-01-01"), priced(20, "2026-01-01", region="eu-north-1"))
        assert usd(on("2026-02-01", *book, region="eu-north-1")) == 20

    def test_a_newer_price_of_every_region_holds_in_the_region_asked_for(self) -> None:
        book = (
            priced(20, "2026-01-01", region="eu-north-1"),
            priced(30, "2026-03-01", region="*"),
            priced(10, "2026-04-01"),
        )
        assert usd(on("2026-02-01", *book, region="eu-north-1")) == 20
        assert usd(on("2026-05-01", *book, region="eu-north-1")) == 30

    def test_a_named_region_goes_before_every_region_on_the_same_day(self) -> None:
        book = (priced(10, "2026-01-01", region="*"), priced(20, "2026-01-01", region="us-gov-east-1"))
        assert usd(on("2026-02-01", *book, region="us-gov-east-1")) == 20
        assert usd(on("2026-02-01", *book)) == 10

    @pytest.mark.parametrize("region", [None, "sa-east-1"])
    def test_without_that_region_us_east_1(self, region: str | None) -> None:
        book = (priced(5, "2026-01-02", region="eu-north-1"), priced(10, "2026-01-01"))
        found = on("2026-02-01", *book, region=region)
        assert usd(found) == 10
        assert isinstance(found, PriceObservation)
        assert found.region == "us-east-1"

    def test_without_us_east_1_the_latest_then_the_cheapest_then_the_first_by_name(self) -> None:
        late, dear, cheap, same = (
            priced(40, "2026-01-02", region="d"),
            priced(30, "2026-01-01", region="a"),
            priced(20, "2026-01-01", region="c"),
            priced(20, "2026-01-01", region="b"),
        )
        assert on("2026-02-01", dear, late, cheap) == late
        assert on("2026-02-01", dear, cheap, same) == same

    @pytest.mark.parametrize("kind", ["paid", "quote"])
    def test_a_list_price_goes_before_what_one_buyer_paid(self, kind: Kind) -> None:
        book = (priced(10, "2026-01-01"), priced(11, "2026-01-05", kind=kind))
        assert usd(on("2026-02-01", *book)) == 10
        assert usd(on("2026-02-01", *book[1:])) == 11

    def test_no_price_is_missing_with_its_reason(self) -> None:
        found = on("2026-02-01", priced(10, "2025-12-01"), priced(None, "2026-01-01", note="withdrawn"))
        assert isinstance(found, MissingPrice)
        assert found.reason == "no on-demand price of p5.48xlarge: withdrawn"

    def test_an_unknown_instance_or_purchase_model_is_an_error_with_a_suggestion(self) -> None:
        with pytest.raises(PriceError, match="unknown instance") as caught:
            price_as_of(BOOK, "P5.48xlrage", "on-demand", date(2026, 7, 20))
        assert caught.value.hint.startswith("did you mean p5.48xlarge?")
        with pytest.raises(PriceError, match="unknown purchase model") as caught:
            price_as_of(BOOK, "p5.48xlarge", "ondemand", date(2026, 7, 20))
        assert caught.value.hint == "did you mean on-demand?"

    @given(
        st.sampled_from(known_instances(BOOK)),
        st.sampled_from(["on-demand", "capacity-block", "spot"]),
        st.dates(date(2023, 1, 1), date(2029, 1, 1)),
        st.sampled_from([None, "us-east-1", "us-east-2", "nowhere"]),
    )
    def test_a_price_is_positive_and_of_the_time_asked_or_missing_with_a_reason(
        self, instance: str, purchase_model: str, day: date, region: str | None
    ) -> None:
        found = price_as_of(BOOK, instance, purchase_model, day, region)
        if isinstance(found, MissingPrice):
            assert found.reason
            return
        assert usd(found) > 0
        assert (found.instance, found.purchase_model) == (instance, purchase_model)
        assert timedelta(0) <= day - found.as_of <= timedelta(days=400)


class TestShippedBook:
    def test_every_row_has_a_source_and_a_past_day(self) -> None:
        for price in BOOK:
            assert price.source
            assert date(2023, 1, 1) <= price.as_of <= date(2026, 11, 22)
            assert price.usd_per_hour is None or price.usd_per_hour > 0
            assert price.region or "region unstated" in price.note

    def test_rows_are_sorted(self) -> None:
        keys = [(p.provider, p.instance, p.purchase_model, p.region, p.as_of, p.kind) for p in BOOK]
        assert keys == sorted(keys)

    def test_every_instance_is_described(self) -> None:
        assert set(known_instances(BOOK)) <= {instance.name for instance in load_instances()}

    @pytest.mark.parametrize(
        ("instance", "purchase_model", "day", "usd_per_hour"),
        [
            ("p5.48xlarge", "on-demand", "2026-07-20", 55.04),
            ("p5.48xlarge", "on-demand", "2025-04-01", 98.32),
            ("p5.48xlarge", "on-demand", "2025-03-31", 98.32),
            ("p5.48xlarge", "on-demand", "2025-06-22", 98.32),
            ("p5.48xlarge", "on-demand", "2025-06-23", 55.04),
            ("p5.48xlarge", "on-demand", "2026-11-22", 55.04),
            ("p4d.24xlarge", "on-demand", "2025-03-31", 32.7726),
            ("p4de.24xlarge", "on-demand", "2025-06-23", 27.44705),
            ("p5en.48xlarge", "on-demand", "2025-03-31", 84.80),
            ("p5en.48xlarge", "on-demand", "2025-06-23", 63.296),
            ("p5.48xlarge", "capacity-block", "2024-12-31", 39.33),
            ("p5.48xlarge", "capacity-block", "2026-03-01", 31.464),
            ("p5.48xlarge", "capacity-block", "2026-07-22", 41.528),
            ("p5.48xlarge", "capacity-block", "2026-11-22", 47.76),
            ("p5en.48xlarge", "capacity-block", "2026-03-01", 41.612),
            ("p6-b200.48xlarge", "capacity-block", "2026-10-07", 113.664),
            ("p6-b300.48xlarge", "capacity-block", "2026-10-07", 129.168),
            ("trn1.32xlarge", "capacity-block", "2024-12-31", 15.49),
            ("trn1.32xlarge", "capacity-block", "2026-11-22", 9.532),
            ("trn2.48xlarge", "capacity-block", "2026-01-31", 35.7608),
            ("trn2.48xlarge", "capacity-block", "2026-03-01", 35.7608),
            ("trn2.48xlarge", "capacity-block", "2026-07-22", 35.7608),
            ("a3-ultragpu-8g", "on-demand", "2026-11-22", 83.492),
            ("Standard_NC80adis_H100_v5", "on-demand", "2026-06-18", 13.96),
            ("runpod-secure/1x-H100-SXM-80GB", "on-demand", "2026-11-22", 3.99),
            ("p4d.24xlarge", "on-demand", "2026-11-22", 21.957642),
            ("trn1.32xlarge", "on-demand", "2026-11-22", 21.50),
            ("trn2.48xlarge", "capacity-block", "2026-11-22", 35.7608),
            ("trn2.3xlarge", "capacity-block", "2026-11-22", 2.235),
            ("g6.xlarge", "on-demand", "2026-11-22", 0.8048),
            ("c7i.2xlarge", "on-demand", "2026-11-22", 0.357),
        ],
    )
    def test_known_figures(self, instance: str, purchase_model: str, day: str, usd_per_hour: float) -> None:
        assert usd(price_as_of(BOOK, instance, purchase_model, date.fromisoformat(day))) == usd_per_hour

    def test_two_sources_of_one_rate_agree_to_a_cent(self) -> None:
        # 8 x 7.895 = 63.16 was announced for 2026-10-07; a reader of the page noted 63.158 a day later.
        announced = price_as_of(BOOK, "p5en.48xlarge", "capacity-block", date(2026, 10, 7))
        read = price_as_of(BOOK, "p5en.48xlarge", "capacity-block", date(2026, 11, 22))
        assert usd(announced) == 63.16
        assert round(usd(read), 2) == 63.16

    @pytest.mark.parametrize("instance", ["trn2.3xlarge", "trn2.48xlarge", "trn2u.48xlarge", "p5e.48xlarge"])
    @pytest.mark.parametrize("day", [date(2026, 10, 1), date(2026, 11, 22)])
    def test_no_on_demand_price_is_known(self, instance: str, day: date) -> None:
        found = price_as_of(BOOK, instance, "on-demand", day)
        assert isinstance(found, MissingPrice)
        assert found.reason.startswith(f"no on-demand price of {instance}")
        assert ("there is capacity-block" in found.reason) == (instance != "trn2u.48xlarge")


class TestCost:
    def test_the_formula(self) -> None:
        assert usd_per_million_tokens(36.0, 10_000.0) == pytest.approx(1.0)

    @given(st.floats(1e-3, 1e4), st.floats(1e-3, 1e9), st.floats(1e-3, 1e3))
    def test_linear_in_price_and_inverse_in_throughput(self, usd_per_hour: float, speed: float, factor: float) -> None:
        cost = usd_per_million_tokens(usd_per_hour, speed)
        assert usd_per_million_tokens(usd_per_hour * factor, speed) == pytest.approx(cost * factor)
        assert usd_per_million_tokens(usd_per_hour, speed * factor) == pytest.approx(cost / factor)

    @pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
    def test_only_positive_finite_numbers(self, bad: float) -> None:
        for raising in (
            lambda: usd_per_million_tokens(bad, 1.0),
            lambda: usd_per_million_tokens(1.0, bad),
            lambda: user_price(bad, instance="mine", as_of=date(2026, 11, 22)),
        ):
            with pytest.raises(PriceError, match="is") as caught:
                raising()
            assert caught.value.hint == "give a positive, finite number"

    @pytest.mark.parametrize("bad", [1e-320, 1e-16, 1e16, 1.7e308])
    def test_a_users_price_within_reason(self, bad: float) -> None:
        with pytest.raises(PriceError, match="the price in USD per hour is") as caught:
            user_price(bad, instance="mine", as_of=date(2026, 11, 22))
        assert caught.value.hint

    def test_a_users_price_is_told_apart(self) -> None:
        price = user_price(2.5, instance="mine", as_of=date(2026, 11, 22), kind="paid")
        assert (price.purchase_model, price.kind, price.usd_per_hour) == ("user", "paid", 2.5)
        assert price.source == "given by the user"


class TestNames:
    def test_closest(self) -> None:
        assert closest("TRN2.48XL", known_instances(BOOK)) == "trn2.48xlarge"
        assert closest("zzz", known_instances(BOOK)) is None

    def test_find_instance(self) -> None:
        trn2 = find_instance("trn2.48xlarge")
        assert (trn2.accelerator, trn2.accelerator_count, trn2.vcpus) == ("Trainium2", 16, 192)
        assert find_instance("c7i.2xlarge").accelerator is None
        with pytest.raises(PriceError, match="unknown instance") as caught:
            find_instance("p5.48xlage")
        assert caught.value.hint == "did you mean p5.48xlarge?"

    def test_an_error_is_its_message(self) -> None:
        error = PriceError("what", "how")
        assert isinstance(error, ResultsError)
        assert (str(error), error.message, error.hint) == ("what", "what", "how")
