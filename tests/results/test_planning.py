"""A target precision: Stein's number of runs, and an interval that keeps its promise."""

import math

import pytest
from made_up_cases import NOISE, case, sections

from results.planning import runs_needed, targets
from results.record import RunRecord
from results.stats import Interval, mean_interval, paired_ratio, welch_ratio
from results.summary import pilot_first, summarise, took_seconds, turn_of


def of_half_width(half: float | None, runs: int = 5) -> Interval:
    low, high = (None, None) if half is None else (math.exp(-half), math.exp(half))
    return Interval(estimate=1.0, low=low, high=high, runs=runs, method="t on runs")


@pytest.mark.parametrize(
    ("half", "target", "runs"),
    [(0.03, 0.03, 5), (0.03, 0.05, 5), (0.06, 0.03, 20), (0.04, 0.03, 9), (None, 0.03, None)],
)
def test_runs_grow_with_the_square_of_the_width(half: float | None, target: float, runs: int | None) -> None:
    assert runs_needed(of_half_width(half), target) == runs


def test_it_is_steins_formula() -> None:
    """(t s / half width)^2 with the pilot's own t and s, written out."""
    from scipy.stats import t as student_t

    differences = [0.02, -0.03, 0.01, 0.05, -0.04]
    deviation = math.sqrt(sum((d - 0.002) ** 2 for d in differences) / 4)
    expected = math.ceil((student_t.ppf(0.975, 4) * deviation / 0.02) ** 2)
    assert runs_needed(paired_ratio(differences, [0.0] * 5), 0.02) == expected


def planned(records: list[RunRecord], pilot: int) -> list[RunRecord]:
    return [r.model_copy(update={"place": r.place.model_copy(update={"pilot_runs": pilot})}) for r in records]


def test_the_pilot_alone_gives_the_spread() -> None:
    """Later runs that happen to agree narrow nothing but the mean: n, not s."""
    logs = [0.03, -0.03, 0.0, *[0.0] * 9]
    ours, pilot_only = mean_interval(logs, 3), mean_interval(logs[:3])
    assert ours.half_width == pytest.approx((pilot_only.half_width or 0) / 2), "12 runs, 3 of them the pilot"
    assert ours.half_width != pytest.approx(mean_interval(logs).half_width)


def test_a_comparison_says_who_planned_it() -> None:
    runs = 8
    noise = [*NOISE, 0.0, 0.0, 0.0]
    records = planned(case("torch-cpu", 1000.0, runs, noise), 5), planned(case("jax-cpu", 900.0, runs, noise[::-1]), 5)
    ((comparison,),) = [section.comparisons for section in sections(*records)]
    assert comparison.cost_ratio is not None
    assert comparison.cost_ratio.pilot == 5
    assert "8 runs planned by a pilot of 5" in comparison.sentence


def test_a_pilot_that_was_enough_is_an_ordinary_suite() -> None:
    ((comparison,),) = [s.comparisons for s in sections(planned(case("a", 1000.0), 5), planned(case("b", 900.0), 5))]
    assert comparison.cost_ratio is not None
    assert comparison.cost_ratio.pilot is None
    assert "planned" not in comparison.sentence


def test_the_pilots_runs_come_first_whatever_the_order() -> None:
    records = planned(case("a", 1000.0, 8), 3)
    ordered, pilot = pilot_first(map(turn_of, reversed(records)))
    assert pilot == 3
    assert {turn.round[1] for turn in ordered[:3]} == {0, 1, 2}


def test_two_runs_of_a_pilot_with_a_rank_give_no_interval() -> None:
    records = [record for record in planned(case("a", 1000.0, 8), 3) if record.place.round != 1]
    throughput = summarise("a", records).throughput
    assert throughput is not None
    assert throughput.half_width is None


def test_what_a_target_is_about() -> None:
    both = targets([*case("torch-cpu", 1000.0), *case("jax-cpu", 900.0, place__case_index=1)])
    assert list(both) == ["smoke: jax-cpu against torch-cpu"]
    assert list(targets(case("torch-cpu", 1000.0))) == ["smoke on torch-cpu"]
    failed = case("torch-cpu", 1000.0, status="failed", reason="x", measurement=None)
    assert targets(failed) == {"smoke on torch-cpu": None}
    assert targets([*failed, *case("jax-cpu", 900.0, place__case_index=1)]) == {
        "smoke: jax-cpu against torch-cpu": None
    }


def test_a_pilot_whose_rounds_do_not_pair_plans_nothing() -> None:
    """Each side lost other rounds: what is left would be planned by one method and judged by another."""
    ours = [record for record in case("torch-cpu", 1000.0) if record.place.round not in (0, 1)]
    theirs = [r for r in case("jax-cpu", 900.0, place__case_index=1) if r.place.round not in (2, 3)]
    assert list(targets([*ours, *theirs]).values()) == [None]


def test_a_lost_pilot_gives_no_verdict_and_the_reason() -> None:
    """However many rounds follow: they were planned, and nobody knows by what."""
    runs = [planned(case(name, 1000.0, 12), 5) for name in ("a", "b")]
    left = [[record for record in side if record.place.round not in (0, 1, 2)] for side in runs]
    ((comparison,),) = [section.comparisons for section in sections(*left)]
    assert comparison.verdict == "none"
    assert "only 2 rounds of the pilot" in comparison.sentence
    none_left = [[record for record in side if record.place.round > 4] for side in runs]
    ((comparison,),) = [section.comparisons for section in sections(*none_left)]
    assert comparison.verdict == "none"


@pytest.mark.parametrize("pilots", [(1, None), (1, 5), (2, 5), (None, 2), (0, 0)])
def test_two_suites_of_which_one_lost_its_pilot(pilots: tuple[int | None, int | None]) -> None:
    assert welch_ratio([0.0, 0.1, 0.2, 0.3, 0.1], [0.0, 0.1, 0.2, 0.3, 0.1], pilots).half_width is None


def test_noisier_later_runs_widen_the_interval() -> None:
    calm, wild = [0.01, -0.01, 0.0], [0.3, -0.3, 0.2, -0.2, 0.1, -0.1]
    assert mean_interval([*calm, *wild], 3).half_width == pytest.approx(mean_interval([*calm, *wild]).half_width)
    assert mean_interval([*wild, *calm], 6).half_width > mean_interval([*wild, *calm]).half_width


def test_a_suite_before_its_end_says_so() -> None:
    """Whoever looks again and again finds a difference in the end."""
    ((comparison,),) = [s.comparisons for s in sections(case("a", 1000.0, 4), case("b", 900.0, 4))]
    assert "INTERIM: 4 of 5 planned rounds are made" in comparison.sentence
    ((whole,),) = [s.comparisons for s in sections(case("a", 1000.0), case("b", 900.0))]
    assert "INTERIM" not in whole.sentence


def test_the_time_a_run_took() -> None:
    """Said by the record, or by an old one the least that it can have been."""
    (record,) = case("torch-cpu", 1024.0, runs=1, noise=[0.0], wall_seconds=77.0)
    assert took_seconds(record) == 77.0
    (old,) = case("torch-cpu", 1024.0, runs=1, noise=[0.0])
    assert took_seconds(old) == pytest.approx(1.0 + 1.0 + 10.0 + 8.0)
    (failed,) = case("torch-cpu", 1024.0, runs=1, measurement=None, status="failed", reason="x")
    assert took_seconds(failed) == 0.0
