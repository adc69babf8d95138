"""Every figure that is derived from published ones recomputes from them, and from the price book's."""

from datetime import date
from pathlib import Path

import pytest

from results.anchors import Anchor, load_anchors
from results.errors import PriceError
from results.prices import PriceObservation, load_price_book, price_as_of, usd_per_million_tokens

ANCHORS = {anchor.name: anchor for anchor in load_anchors()}
H100, TRN1 = ANCHORS["torchtitan-8b-h100-128"], ANCHORS["neuron-8b-trn1"]


def usd_per_hour(anchor: Anchor, model: str, day: str) -> float:
    price = price_as_of(load_price_book(), anchor.instance, model, date.fromisoformat(day))
    assert isinstance(price, PriceObservation)
    assert price.usd_per_hour is not None
    return price.usd_per_hour


def cost(anchor: Anchor, usd: float) -> float:
    return usd_per_million_tokens(usd, anchor.tokens_per_second_per_instance)


@pytest.mark.parametrize(
    ("name", "tokens_per_second_per_chip"),
    [
        ("neuron-8b-trn1", 767.2),
        ("neuron-70b-trn1", 127.0),
        ("axlearn-70b-h100", 890.0),
        ("axlearn-70b-trn2", 366.0),
        ("axlearn-7b-h100", 11703.0),
        ("axlearn-7b-trn2", 3413.0),
    ],
)
def test_derived_throughput(name: str, tokens_per_second_per_chip: float) -> None:
    assert ANCHORS[name].tokens_per_second_per_chip == pytest.approx(tokens_per_second_per_chip, rel=1e-3)
    assert ANCHORS[name].provenance == "derived"
    assert ANCHORS[name].derivation


@pytest.mark.parametrize(
    ("model", "day", "h100", "trn1", "ratio"),
    [
        ("on-demand", "2026-11-22", 0.293, 0.487, 1.66),
        ("capacity-block", "2024-12-31", 0.210, 0.350, 1.67),
        ("capacity-block", "2026-03-01", 0.168, 0.216, 1.29),
        ("capacity-block", "2026-07-22", 0.221, 0.216, 0.97),
    ],
)
def test_costs_under_the_books_prices(model: str, day: str, h100: float, trn1: float, ratio: float) -> None:
    ours, theirs = (cost(side, usd_per_hour(side, model, day)) for side in (H100, TRN1))
    assert (ours, theirs) == pytest.approx((h100, trn1), abs=6e-4)
    assert theirs / ours == pytest.approx(ratio, abs=6e-3)


def test_a_stale_price_turns_the_answer() -> None:
    stale = usd_per_hour(H100, "on-demand", "2025-05-01")
    assert stale == 98.32
    ours, theirs = cost(H100, stale), cost(TRN1, usd_per_hour(TRN1, "on-demand", "2026-11-22"))
    assert ours == pytest.approx(0.524, abs=6e-4)
    assert theirs / ours == pytest.approx(0.93, abs=6e-3)


def test_break_evens() -> None:
    trn1 = TRN1.tokens_per_second_per_chip
    assert H100.tokens_per_second_per_chip / trn1 == pytest.approx(8.49, abs=5e-3)
    assert ANCHORS["nemo-8b-h100-fp8"].tokens_per_second_per_chip / trn1 == pytest.approx(18.8, abs=5e-2)


@pytest.mark.parametrize(
    ("work", "day", "h100", "trn2", "ratio"),
    [
        ("70b", "2026-03-01", 1.227, 1.698, 1.38),
        ("70b", "2026-07-22", 1.619, 1.698, 1.05),
        ("7b", "2026-03-01", 0.093, 0.182, 1.95),
        ("7b", "2026-07-22", 0.123, 0.182, 1.48),
    ],
)
def test_trainium2_in_axlearn(work: str, day: str, h100: float, trn2: float, ratio: float) -> None:
    sides = [ANCHORS[f"axlearn-{work}-{chip}"] for chip in ("h100", "trn2")]
    ours, theirs = (cost(side, usd_per_hour(side, "capacity-block", day)) for side in sides)
    assert (ours, theirs) == pytest.approx((h100, trn2), abs=6e-4)
    assert theirs / ours == pytest.approx(ratio, abs=6e-3)


def test_recipes_alone_differ_by_so_much() -> None:
    """The 1.41x that the banner names: one model, card, sequence and precision, four public sources."""
    speeds = [
        anchor.tokens_per_second_per_chip
        for anchor in ANCHORS.values()
        if (anchor.chip, anchor.precision) == ("H100-SXM", "bf16-mixed") and "8B" in anchor.work
    ]
    assert len(speeds) >= 4
    assert max(speeds) / min(speeds) == pytest.approx(1.41, abs=5e-3)


def test_every_anchor_says_where_it_is_from() -> None:
    for anchor in ANCHORS.values():
        assert anchor.settings
        assert anchor.source
        assert anchor.chips >= 1


HEADER = (
    "name,work,chip,instance,chips_per_instance,chips,precision,sequence_length,tokens_per_second_per_chip,"
    "sequences_per_second,tokens_per_step,step_seconds,settings,source,note\n"
)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("x,w,c,,1,1,bf16,2048,,,,,s,src,", "line 2: the speed is given in no way"),
        ("x,w,c,,1,1,bf16,2048,5,6,,,s,src,", "line 2: the speed is given in no way, or in several"),
        ("x,w,c,,1,1,bf16,,,6,,,s,src,", "sequence_length is empty"),
        ("x,w,c,,1,1,bf16,2048,,,,2,s,src,", "tokens_per_step is empty"),
        ("x,w,c,,1,1,bf16,2048,5,,,,s,,", "source is empty"),
        ("x,w,c,,1,1,bf16,2048,-5,,,,s,src,", "tokens_per_second_per_chip is '-5'"),
        ("x,w,c,,1,0,bf16,2048,5,,,,s,src,", "chips is '0'"),
    ],
)
def test_a_row_that_cannot_be_is_refused(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "anchors.csv"
    path.write_text(HEADER + row + "\n")
    with pytest.raises(PriceError, match=said):
        load_anchors(path)
