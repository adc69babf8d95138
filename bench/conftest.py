"""`pytest bench`: the suites as pytest-benchmark's benchmarks, measured by the workers and windows of `fairchip run`.

All selected cases are measured first, in the rounds of the suite; each test then shows what came of one of them.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from backends.registry import availabilities
from bench.campaign import run_campaign
from bench.comparing import price_choice
from bench.environment import read_environment
from bench.errors import EXPECTED
from bench.folders import RUNS_FOLDER, placed
from bench.forecast import Forecast
from bench.interruption import orderly_stop
from bench.plan import Case
from bench.probing import probe_first
from bench.progress import Display
from bench.replay import Measured, WindowClock, differences, machine_facts, replayed
from bench.schedule import Campaign
from bench.suite import Suite, find_suite, make_case
from results.costs import PriceChoice, rent
from results.record import RunRecord
from results.report import make_sections
from workloads.catalog import find_workload

SUITE = pytest.StashKey[Suite]()
CHOICE = pytest.StashKey[PriceChoice]()
CASES = pytest.StashKey[dict[str, Case]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The few options of ours."""
    group = parser.getgroup("fairchip")
    group.addoption("--suite", default="smoke", help="fairchip's suite: smoke, cpu, chip or node.")
    group.addoption("--records", type=Path, help="Folder for the records; default: results/runs/TIME-SUITE.")
    group.addoption("--instance", help="Rented machine, such as c8i.2xlarge, if it is not detected.")
    group.addoption("--usd-per-hour", type=float, help="Your own price of the whole machine, in USD per hour.")


def pytest_configure(config: pytest.Config) -> None:
    """A mistake in our options ends it here, in one line."""
    try:
        config.stash[SUITE] = find_suite(config.getoption("--suite"))
        config.stash[CHOICE] = price_choice(
            config.getoption("--instance"), None, config.getoption("--usd-per-hour"), None
        )
    except EXPECTED as error:
        raise pytest.UsageError(f"{error.message} ({error.hint})") from None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each workload and backend of the suite; a backend that is not here is skipped with its reason."""
    if "measured" in metafunc.fixturenames:
        cases = metafunc.config.stash[CASES] = {}
        metafunc.parametrize("measured", list(_params(metafunc.config.stash[SUITE], cases)), indirect=True)


def _params(suite: Suite, cases: dict[str, Case]) -> Iterator[Any]:
    """Ids hold the digest, so that pytest-benchmark never compares different work."""
    found = availabilities()
    backends = [name for name, one in found.items() if (one.device_type == "cpu") == (suite.device == "cpu")]
    torch_first = sorted(backends, key=lambda name: (not name.startswith("torch"), name))
    for workload, backend in product(map(find_workload, suite.workloads), torch_first):
        key, marks = f"{suite.name}-{workload.name}-{workload.digest[:8]}-{backend}", []
        if found[backend].available:
            cases[key] = make_case(workload, backend, replacing=suite.recipe.get(backend), devices=suite.devices)
        else:
            marks = [pytest.mark.skip(reason=f"{found[backend].reason}; {found[backend].fix}")]
        group = pytest.mark.benchmark(group=f"{workload.name} {workload.precision}")
        yield pytest.param(key, id=key, marks=[group, *marks])


@pytest.fixture(scope="session")
def suite_results(request: pytest.FixtureRequest) -> dict[str, Measured]:
    """Every selected case, measured; blocks for the whole suite."""
    config = request.config
    selected = [item.callspec.params.get("measured") for item in request.session.items if hasattr(item, "callspec")]
    cases = {key: case for key, case in config.stash[CASES].items() if key in selected}
    campaign = _campaign(config.stash[SUITE], list(cases.values()), config.getoption("--records"))
    sections = make_sections({"": _measure(campaign, config.stash[CHOICE])}, config.stash[CHOICE])
    found = {case.summary.first.place.case_index: (case, section) for section in sections for case in section.cases}
    return {key: replayed(*found[number], campaign.folder) for number, key in enumerate(cases)}


def _campaign(suite: Suite, cases: list[Case], records: Path | None) -> Campaign:
    if suite.probe:
        probe_first(cases)
    campaign = Campaign(
        suite=suite.name,
        cases=cases,
        plan=suite.plan,
        runs=suite.runs,
        cold_starts=suite.cold_starts,
        folder=RUNS_FOLDER,
    )
    return placed(campaign, records, again=True)


def _measure(campaign: Campaign, choice: PriceChoice) -> list[RunRecord]:
    usd_per_hour, _ = rent(campaign.environment.instance, choice)
    with orderly_stop(), Display(campaign.total_runs, usd_per_hour=usd_per_hour) as display:
        made = run_campaign(campaign, display, Forecast(campaign, []), lambda campaign, _: campaign)
    return list(made.records)


@pytest.fixture
def measured(request: pytest.FixtureRequest, suite_results: dict[str, Measured]) -> Measured:
    """One case. pytest-benchmark's timer becomes a clock that tells its windows: the closest marker counts."""
    found = suite_results[request.param]
    if not found.rounds:
        pytest.fail(found.problem, pytrace=False)
    marker = request.node.get_closest_marker("benchmark")
    timer = WindowClock(found.step_seconds)
    request.node.add_marker(pytest.mark.benchmark(**marker.kwargs, timer=timer), append=False)
    return found


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    """More of the machine, less of its owner: a host is a random identifier. The clock of the moment is left out."""
    machine_info["fairchip"] = facts = machine_facts(read_environment())
    machine_info["node"] = facts["host_id"]
    for passing in [name for name in machine_info.get("cpu", {}) if name.startswith("hz_actual")]:
        del machine_info["cpu"][passing]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_compare_machine_info(machine_info: dict[str, Any], compared_benchmark: dict[str, Any]) -> None:
    """Refuse another machine; of another host of its type, or other software, pytest-benchmark itself warns."""
    if found := differences(machine_info, compared_benchmark["machine_info"]):
        raise pytest.UsageError(
            f"--benchmark-compare: that was another machine ({'; '.join(found)}); "
            "machines are held against each other by: fairchip compare A B"
        )
