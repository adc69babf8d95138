"""Comparisons: which runs pair, what is concluded, what is refused."""

import random
from pathlib import Path

import pytest
from builders import STEPS, make_record
from made_up_cases import TODAY, case, sections

from results.compare import differing_fields, throughput_ratio
from results.errors import ComparisonError
from results.record import RunRecord
from results.render import markdown
from results.report import make_sections
from results.stats import host_mean_interval
from results.store import load_all, save
from results.summary import logs_by_host


@pytest.mark.parametrize(
    ("speed", "verdict"), [(1100.0, "better"), (900.0, "worse"), (1000.0, "equal"), (1002.0, "equal")]
)
def test_verdicts_of_cases_that_took_turns(speed: float, verdict: str) -> None:
    (section,) = sections(case("torch-cpu", 1000.0), case("jax-cpu", speed))
    (comparison,) = section.comparisons
    assert comparison.verdict == verdict
    assert comparison.basis == "same machine, the price cancels"
    assert comparison.cost_ratio is not None
    assert comparison.cost_ratio.estimate == pytest.approx(1000 / speed)
    assert comparison.cost_ratio.method == "paired t over rounds"


def rebooted(records: list[RunRecord], after: int) -> list[RunRecord]:
    """The same records, from this round on of another boot of the machine."""
    later = {"environment": records[0].environment.model_copy(update={"boot_id": "9" * 32})}
    return [record.model_copy(update=later) if record.place.round >= after else record for record in records]


def test_rounds_pair_within_a_boot() -> None:
    """A suite that went on after a reboot: its cases still took turns, before and after."""
    (section,) = sections(rebooted(case("torch-cpu", 1000.0), 3), rebooted(case("jax-cpu", 1100.0), 3))
    assert section.comparisons[0].cost_ratio.method == "paired t over rounds"
    assert len(section.cases) == 2


def test_rounds_do_not_pair_across_a_reboot() -> None:
    """Equal round numbers, other boots: they did not take turns, and the report says so."""
    (section,) = sections(case("torch-cpu", 1000.0), rebooted(case("jax-cpu", 1100.0), 2))
    assert section.comparisons[0].cost_ratio.method == "Welch t on runs"
    assert "did not take turns" in section.comparisons[0].sentence


def test_undecided_says_what_would_decide() -> None:
    noisy = [0.1, -0.1, 0.05, -0.02, 0.0]
    (section,) = sections(case("torch-cpu", 1000.0), case("jax-cpu", 1040.0, noise=noisy))
    (comparison,) = section.comparisons
    assert comparison.verdict == "undecided"
    assert "runs a side would decide" in comparison.sentence


def test_two_runs_give_no_verdict() -> None:
    (section,) = sections(case("torch-cpu", 1000.0, runs=2), case("jax-cpu", 2000.0, runs=2))
    assert section.comparisons[0].verdict == "none"
    assert "no verdict under 3 runs" in section.comparisons[0].sentence


def test_unranked_runs_keep_their_number_and_give_no_verdict() -> None:
    (section,) = sections(case("torch-cpu", 1000.0), case("jax-cpu", 2000.0, measurement__compiled_graphs_after=9))
    assert section.comparisons[0].verdict == "none"
    assert "no ranked run" in section.comparisons[0].sentence
    assert "(2,000)" in markdown([section])
    assert "gate recompile failed" in markdown([section])


def test_failed_runs_are_shown() -> None:
    failed = [make_record(backend="jax-cpu", round_=9, status="out-of-memory", reason="no room", measurement=None)]
    (section,) = sections(case("torch-cpu", 1000.0), failed)
    assert "out-of-memory: no room" in markdown([section])


def test_simulated_runs_are_never_compared() -> None:
    (section,) = sections(case("torch-cpu", 1000.0), case("fake", 2000.0, provenance="simulated"))
    assert section.comparisons[0].verdict == "none"
    assert "is simulated" in section.comparisons[0].sentence


def test_without_a_reference_the_cases_must_track_each_other() -> None:
    ours = case("torch-cpu", 1000.0, reference=False)
    (same,) = sections(ours, case("jax-cpu", 1100.0, reference=False))
    assert same.comparisons[0].verdict == "better"
    other = [5.5 * 0.97**step for step in range(STEPS)]
    (parted,) = sections(ours, case("jax-cpu", 1100.0, reference=False, losses=other))
    assert parted.comparisons[0].verdict == "none"
    assert "no ranked run" in parted.comparisons[0].sentence
    (alone,) = sections(ours)
    assert "(1,000)" in markdown([alone]), "without anything to confirm it, a number has no rank"


def test_runs_without_steps_confirm_nobody() -> None:
    (section,) = sections(
        case("torch-cpu", 1000.0, reference=False, losses=[]), case("jax-cpu", 1100.0, reference=False)
    )
    assert section.comparisons[0].verdict == "none"


def test_a_reference_on_one_side_only_does_not_excuse_the_other() -> None:
    wrong = [5.5 * 0.97**step for step in range(STEPS)]
    (section,) = sections(case("torch-cpu", 1000.0), case("jax-cpu", 1100.0, reference=False, losses=wrong))
    assert section.comparisons[0].verdict == "none"


def test_two_machines_need_a_matched_price() -> None:
    here = case("torch-cpu", 1000.0)
    there = case("torch-cpu", 1500.0, host_id="9" * 32, suite_id="8" * 32)
    (section,) = make_sections({"here": here, "there": there}, TODAY)
    assert section.comparisons[0].basis == "no matched price"
    assert "1.500 times" in section.comparisons[0].sentence
    rented = {"provider": "aws", "name": "c8i.2xlarge", "source": "DMI"}
    here = case("torch-cpu", 1000.0, environment__instance=rented)
    there = case("torch-cpu", 1500.0, host_id="9" * 32, suite_id="8" * 32, environment__instance=rented)
    (section,) = make_sections({"here": here, "there": there}, TODAY)
    (comparison,) = section.comparisons
    assert comparison.basis == "on-demand"
    assert comparison.cost_ratio is not None
    assert comparison.cost_ratio.method == "Welch t on runs"
    assert comparison.verdict == "better"
    assert "these two machines" in comparison.sentence


RENTED = {"provider": "aws", "name": "c8i.2xlarge", "source": "DMI"}


def on_hosts(names: str, speed: float, backend: str = "torch-cpu", **replace: object) -> list[RunRecord]:
    """Five runs on each of several hosts of one type, which differ by 1 % from one to the next."""
    return [
        record
        for number, name in enumerate(names)
        for record in case(backend, speed * 1.01**number, host_id=name * 32, suite_id=name * 32, **replace)
    ]


def test_several_hosts_a_side_speak_for_their_types() -> None:
    here = on_hosts("12", 1000.0, environment__instance=RENTED)
    there = on_hosts("345", 1500.0, environment__instance=RENTED)
    (section,) = make_sections({"A": here, "B": there}, TODAY)
    assert [case.summary.label for case in section.cases] == ["A: torch-cpu on 2 hosts", "B: torch-cpu on 3 hosts"]
    (comparison,) = section.comparisons
    ratio = comparison.cost_ratio
    assert ratio is not None
    assert (ratio.method, ratio.runs) == ("Welch t on host means", 2)
    assert ratio == throughput_ratio(*(case.summary for case in section.cases)), "no allowance where hosts are measured"
    assert comparison.verdict == "better"
    assert "2 hosts); about these types of machine" in comparison.sentence
    assert section.cases[0].summary.throughput == host_mean_interval([*logs_by_host(here).values()])
    assert "means of its 2 hosts: 1,000, 1,010 tokens/s" in markdown([section])


def test_one_host_against_several_is_about_these_machines() -> None:
    here = on_hosts("1", 1000.0, environment__instance=RENTED)
    there = on_hosts("345", 1500.0, environment__instance=RENTED)
    (section,) = make_sections({"A": here, "B": there}, TODAY)
    (comparison,) = section.comparisons
    assert comparison.cost_ratio is not None
    assert comparison.cost_ratio.method == "Welch t on runs"
    assert "about these machines, with 3% allowed" in comparison.sentence


def test_hosts_of_no_known_type_stay_apart() -> None:
    (section,) = sections(on_hosts("12", 1000.0))
    assert [case.summary.label for case in section.cases] == ["torch-cpu", "torch-cpu #2"]


def test_cases_that_took_turns_on_several_hosts_are_paired() -> None:
    ours, theirs = (on_hosts("12", 1000.0, name, environment__instance=RENTED) for name in ("torch-cpu", "jax-cpu"))
    (section,) = sections(ours, theirs)
    (comparison,) = section.comparisons
    assert comparison.cost_ratio is not None
    assert (comparison.cost_ratio.method, comparison.cost_ratio.runs) == ("paired t over rounds", 10)
    assert comparison.basis == "same machine, the price cancels"


def test_two_hosts_with_a_run_each_are_too_few_runs() -> None:
    (section,) = sections(list(on_hosts("12", 1000.0, environment__instance=RENTED)[::5]))
    (summary,) = (case.summary for case in section.cases)
    assert summary.throughput is not None
    assert (summary.throughput.runs, summary.throughput.low) == (2, None)


def test_a_resized_machine_is_another_machine() -> None:
    """The identifier survives a change of instance type; the price does not."""
    small, large = ({"provider": "aws", "name": name, "source": "DMI"} for name in ("c8i.2xlarge", "c8i.4xlarge"))
    ours = case("torch-cpu", 1000.0, environment__instance=small)
    theirs = case("torch-cpu", 1500.0, suite_id="8" * 32, environment__instance=large)
    (section,) = make_sections({"A": ours, "B": theirs}, TODAY)
    (comparison,) = section.comparisons
    assert comparison.basis == "on-demand"
    assert comparison.cost_ratio is not None
    assert comparison.cost_ratio.estimate == pytest.approx(2 / 1.5, rel=1e-3)


def test_the_allowance_for_hosts_makes_no_difference_equal() -> None:
    """4 % cheaper with a 2 % margin is undecided between machines, not equal."""
    rented = {"provider": "aws", "name": "c8i.2xlarge", "source": "DMI"}
    calm = [0.0005, -0.0005, 0.0, 0.0, 0.0]
    here = case("torch-cpu", 1000.0, noise=calm, environment__instance=rented)
    there = case("torch-cpu", 1040.0, noise=calm, host_id="9" * 32, suite_id="8" * 32, environment__instance=rented)
    (section,) = make_sections({"here": here, "there": there}, TODAY)
    assert section.comparisons[0].verdict == "undecided"
    assert section.comparisons[0].margin == 0.02


def test_a_run_is_not_compared_with_itself() -> None:
    records = case("torch-cpu", 1000.0)
    with pytest.raises(ComparisonError, match="share runs"):
        make_sections({"A": records, "B": records}, TODAY)


def test_different_work_is_refused_with_the_fields() -> None:
    other = case("torch-cpu", 1.0, suite_id="8" * 32, case__specification={"model": {"dim": 65}, "seed": 1})
    with pytest.raises(ComparisonError) as caught:
        make_sections({"A": case("torch-cpu", 1.0), "B": other}, TODAY)
    for field in ("model.dim", "precision", "seed"):
        assert field in caught.value.message


def test_differing_fields_are_dotted_and_sorted() -> None:
    assert differing_fields({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 1}) == ["a.c", "d"]


def test_order_and_duplication_of_files_change_nothing(tmp_path: Path) -> None:
    records = case("torch-cpu", 1000.0) + case("jax-cpu", 1100.0, place__case_index=1, place__order=1)
    one, other = tmp_path / "one", tmp_path / "other"
    for record in records:
        save(record, one)
    for number, record in enumerate(random.Random(1).sample(records * 2, 20)):
        save(record, other / str(number))
    ratios = [
        make_sections({"": load_all(paths)}, TODAY)[0].comparisons[0].cost_ratio
        for paths in ([one], [other], [other, one])
    ]
    assert ratios[0] == ratios[1] == ratios[2]


def test_cold_starts_are_not_throughput() -> None:
    cold = make_record(
        round_=0,
        place__role="cold-start",
        measurement__windows=[],
        run_id="1" * 32,
        measurement__start_up__cache="cold",
    )
    (section,) = sections([cold, *case("torch-cpu", 1000.0)])
    summary = section.cases[0].summary
    assert summary.throughput is not None
    assert summary.throughput.runs == 5
    assert summary.cold_start_seconds == 3.0
