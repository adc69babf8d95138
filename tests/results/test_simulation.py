"""The simulation of the shipped statistics: that they cover, and that it would notice if they did not."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import typer

from results.scenarios import CALM, COMMON, DRIFT, STILL, scenarios
from results.simulated_runs import WINDOW_LAG, Scenario, simulated_cases
from results.simulation import ERRORS, main, simulate
from results.stats import Hosts, Interval, welch_ratio
from results.summary import CaseSummary

REPLICATIONS = 300
IN_TURNS = Scenario(setting="in turns", claim="this machine", process_sds=COMMON, turns=True)
APART = Scenario(setting="two machines", claim="their types", process_sds=CALM, same_machine=False, host_sd=0.01)
HOSTS = replace(APART, setting="3 and 3 hosts", hosts=(3, 3), host_sd=0.02)


def named(scenario: Scenario) -> str:
    sds = "/".join(f"{sd:g}" for sd in scenario.process_sds)
    return f"{scenario.setting}-{scenario.claim}-{sds}-{scenario.host_sd}-{scenario.drift}-{scenario.runs_left}"


@pytest.mark.parametrize("scenario", [one for one in scenarios() if one.says != "no"], ids=named)
def test_what_the_product_claims_holds_with_the_fewest_runs(scenario: Scenario) -> None:
    cell = simulate(scenario, 3, REPLICATIONS)
    assert cell.holds, f"covers {cell.coverage:.1%}, tells equal cases apart in {cell.told_apart:.1%}"


@pytest.mark.parametrize("runs", [5, 10])
@pytest.mark.parametrize("scenario", [IN_TURNS, APART, HOSTS], ids=named)
def test_more_runs_cover_as_well(scenario: Scenario, runs: int) -> None:
    assert simulate(scenario, runs, REPLICATIONS).holds


def test_the_product_chooses_the_method() -> None:
    methods = [simulate(one, 3, 100).intervals[0].method for one in (IN_TURNS, APART, HOSTS)]
    assert methods == ["paired t over rounds", "Welch t on runs", "Welch t on host means"]


def test_one_host_a_side_cannot_speak_for_types_that_differ_more_than_is_allowed() -> None:
    assert not simulate(replace(APART, host_sd=0.02), 10, REPLICATIONS).holds


def windows_as_independent(ours: CaseSummary, theirs: CaseSummary) -> Interval:
    """What the unit of statistics must not be."""
    mine, other = (
        [math.log(w.tokens / w.seconds) for r in side.ranked if r.measurement for w in r.measurement.windows]
        for side in (ours, theirs)
    )
    return welch_ratio(mine, other)


def runs_as_independent(ours: Hosts, theirs: Hosts) -> Interval:
    """A host's own speed in every one of its runs, counted as often."""
    ratio = welch_ratio(*([log for host in side for log in host] for side in (ours, theirs)))
    return replace(ratio, method="Welch t on host means")


def first_then_second(scenario: Scenario, shape: tuple[int, ...], generator: np.random.Generator) -> Any:
    """ABAB: each round in the same order."""
    return np.broadcast_to(np.arange(2)[:, None, None], shape)


@pytest.mark.parametrize(
    ("name", "instead", "scenario"),
    [
        ("results.stats._quantile", lambda freedom: 1.96, IN_TURNS),
        ("results.stats._quantile", lambda freedom: 1.96, HOSTS),
        ("results.compare.throughput_ratio", windows_as_independent, IN_TURNS),
        ("results.compare.host_ratio", runs_as_independent, HOSTS),
        ("results.compare.HOST_ALLOWANCE", 0.0, APART),
        ("results.compare.judge", lambda ratio, margin: "better" if ratio.estimate < 1 else "equal", IN_TURNS),
        ("results.simulated_runs._order", first_then_second, replace(IN_TURNS, process_sds=STILL, drift=DRIFT)),
    ],
)
def test_a_sabotage_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str, instead: object, scenario: Scenario) -> None:
    assert simulate(scenario, 4, REPLICATIONS).holds
    monkeypatch.setattr(name, instead)
    assert not simulate(scenario, 4, REPLICATIONS).holds


def test_a_planned_number_of_runs_without_its_pilot_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes more replications: the spread of all runs covers 91 % instead of 95."""
    planned = replace(IN_TURNS, target=0.03)
    assert simulate(planned, 3, 1500).holds
    monkeypatch.setattr("results.compare.pilot_first", lambda records: (list(records), None))
    assert not simulate(planned, 3, 1500).holds


def test_the_command_says_and_returns_what_holds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wider = replace(APART, host_sd=0.03)
    monkeypatch.setattr("results.simulation.scenarios", lambda: iter([IN_TURNS, replace(wider, says="no")]))
    with pytest.raises(typer.Exit) as passed:
        main(replications=100, seed=0, quick=True)
    assert passed.value.exit_code == 0
    assert "2 of 2 claims hold" in capsys.readouterr().out
    monkeypatch.setattr("results.simulation.scenarios", lambda: iter([IN_TURNS, wider]))
    with pytest.raises(typer.Exit) as failed:
        main(replications=100, seed=0, quick=True)
    assert failed.value.exit_code == 1
    assert capsys.readouterr().out.count("FAILS") == 2


def test_a_cell_is_the_same_whatever_else_is_simulated() -> None:
    assert simulate(IN_TURNS, 3, 100, seed=7) == simulate(IN_TURNS, 3, 100, seed=7)
    assert simulate(IN_TURNS, 3, 100, seed=7) != simulate(IN_TURNS, 3, 100, seed=8)


def test_simulated_windows_vary_and_correlate_as_stated() -> None:
    chance = np.random.default_rng(0)
    scenario = replace(IN_TURNS, process_sds=(0.04, 0.04))
    logs = np.log(
        [
            [window.seconds for window in record.measurement.windows]
            for case, _ in simulated_cases(scenario, 10, 500, chance)
            for record in case.ranked
            if record.measurement
        ]
    )
    within = logs - logs.mean() - (noise := logs.mean(axis=1, keepdims=True) - logs.mean())
    assert logs.std() == pytest.approx(0.04 * math.sqrt(2), rel=0.05), "processes, and windows as much again"
    lag = np.corrcoef(logs[:, 3], logs[:, 4])[0, 1]
    assert lag == pytest.approx((1 + WINDOW_LAG) / 2, abs=ERRORS / math.sqrt(len(logs)))
    assert noise.std() > within.std()
