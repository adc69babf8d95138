"""Energy of exactly the windows, from counters that were read beside them; else none, and why."""

from collections.abc import Callable

import pytest
from builders import make_record
from made_up_cases import case, sections

from results.energy import energy_of_windows
from results.gates import GATES
from results.record import RunRecord
from results.render import as_json, markdown

FIRST, SECONDS, WINDOWS = 1010.0, 1.024, 8
"""Where the windows of a made-up record begin, and how long each is."""
LAST = FIRST + WINDOWS * SECONDS
TOKENS = WINDOWS * 1024


def readings(joules: Callable[[float], float], times: list[float], name: str = "nvml-0", **more: object) -> list[dict]:
    return [
        {"unix_seconds": at, "sampler": name, "values": {"device_index": 0.0, "energy_joules": joules(at)} | more}
        for at in times
    ]


def each_second(start: float = FIRST - 3, end: float = LAST + 3) -> list[float]:
    return [start + 0.37 + i for i in range(int(end - start))]


def made(samples: list[dict], **replace: object) -> RunRecord:
    """`make_record` has no device samples to replace: they are put in afterwards."""
    return RunRecord.model_validate(make_record(**replace).model_dump() | {"device_samples": samples}, strict=False)


def cuda(samples: list[dict], **replace: object) -> RunRecord:
    return made(samples, backend="torch-cuda", case__device_type="cuda", **replace)


def test_a_steady_card_takes_its_power_times_the_windows() -> None:
    energy = energy_of_windows(cuda(readings(lambda at: 1e6 + 600 * at, each_second())))
    assert (energy.status, energy.source) == ("measured", "nvml-0")
    assert energy.watts == pytest.approx(600)
    assert energy.joules_per_token == pytest.approx(600 * WINDOWS * SECONDS / TOKENS)


def test_only_the_windows_count() -> None:
    """Idle at 100 W outside of the windows, 700 W inside; read at their edges as the runner does."""

    def joules(at: float) -> float:
        inside = min(max(at - FIRST, 0.0), LAST - FIRST)
        return 100 * (at - 1000) + 600 * inside

    edges = [FIRST + i * SECONDS for i in range(WINDOWS + 1)]
    energy = energy_of_windows(cuda(readings(joules, sorted([*each_second(), *edges]))))
    assert energy.watts == pytest.approx(700)


def test_cards_that_the_run_did_not_use_do_not_count() -> None:
    samples = readings(lambda at: 600 * at, each_second())
    samples += readings(lambda at: 100 * at, each_second(), "nvml-1", device_index=1.0)
    assert energy_of_windows(cuda(samples)).watts == pytest.approx(600)
    both = energy_of_windows(cuda(samples, case__world_size=2))
    assert (both.watts, both.source) == (pytest.approx(700), "nvml-0, nvml-1")


def test_a_processors_packages_are_added() -> None:
    samples = [
        {"unix_seconds": at, "sampler": name, "values": {"energy_joules": watts * at}}
        for at in each_second()
        for name, watts in (("rapl-0", 100.0), ("rapl-1", 120.0))
    ]
    assert energy_of_windows(made(samples, backend="torch-cpu")).watts == pytest.approx(220)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([], "nothing here tells"),
        (readings(lambda at: 600 * at, each_second(FIRST + 0.5)), "nvml-0 was not read at both ends"),
        (readings(lambda at: 600 * at, each_second(end=LAST - 1)), "nvml-0 was not read at both ends"),
        (readings(lambda at: 600 * at, each_second()[::4]), "nvml-0 was not read at both ends"),
        (readings(lambda at: 600 * (at if at < 1014 else at - 1014), each_second()), "the counter of nvml-0 went back"),
        (readings(lambda at: 5.0, each_second()), "does not move"),
        (readings(lambda at: 600 * at, each_second(), sliced=1.0), "a slice of a card"),
        (
            readings(lambda at: None, each_second(), missing="energy_joules: Not Supported; sliced: Not Supported"),
            "Not Supported",
        ),
        (readings(lambda at: None, each_second(), missing="NVML: Driver Not Loaded"), "NVML: Driver Not Loaded"),
        (
            [
                {"unix_seconds": at, "sampler": "neuron-power-0", "values": {"power_percent_of_maximum_average": 40.0}}
                for at in each_second()
            ],
            "a percentage of an unpublished maximum",
        ),
    ],
)
def test_what_was_not_measured_is_unavailable_with_its_reason(samples: list[dict], reason: str) -> None:
    energy = energy_of_windows(cuda(samples))
    assert (energy.status, energy.joules_per_token, energy.watts) == ("unavailable", None, None)
    assert reason in energy.reason


def test_one_meter_of_two_is_not_the_energy_of_two_devices() -> None:
    samples = readings(lambda at: 600 * at, each_second())
    assert energy_of_windows(cuda(samples, case__world_size=2)).status == "unavailable"


def test_an_untimed_run_has_none() -> None:
    untimed = make_record(measurement=None, status="failed", reason="crash")
    assert energy_of_windows(untimed).reason == "no timed run"


def shown(*samples_of_runs: list[dict]) -> str:
    plain = case("torch-cuda", 1000.0, noise=[0.0], case__device_type="cuda")
    records = [
        RunRecord.model_validate(record.model_dump() | {"device_samples": samples}, strict=False)
        for record, samples in zip(plain, samples_of_runs, strict=False)
    ]
    return markdown(sections(records)) + as_json(sections(records))


def test_the_report_says_joules_or_why_there_are_none() -> None:
    steady = readings(lambda at: 600 * at, each_second())
    page = shown(steady, steady, steady)
    assert "energy: measured 0.6 J/token, mean 600 W over the windows, of the devices alone (nvml-0)" in page
    page = shown(steady, steady, [])
    assert "energy: unavailable: nothing here tells a device's energy" in page
    assert "J/token" not in page


def test_the_report_says_what_a_card_is_beyond_its_name() -> None:
    def of(**values: float) -> str:
        return shown(*[readings(lambda at: 600 * at, each_second(), **values)] * 3)

    limits = {"power_limit_watts": 500.0, "default_power_limit_watts": 700.0}
    assert "note: power limit 500 W, where the card's own is 700 W" in of(**limits)
    assert "power limit (500 W) held its clock in 100% of the readings" in of(**limits, power_capped=1.0)
    assert "is a slice of a divided card" in of(sliced=1.0)
    healthy = of(power_limit_watts=700.0, default_power_limit_watts=700.0, power_capped=0.0, sliced=0.0)
    assert "power limit" not in healthy
    assert "slice" not in healthy


def test_company_on_the_device_is_no_quiet_machine() -> None:
    def outcome(company: float | None) -> str:
        run = cuda(readings(lambda at: 600 * at, each_second(), processes=company))
        return GATES["quiet-host"][1](run, run.measurement)[0]

    assert [outcome(company) for company in (None, 0.0, 1.0, 2.0)] == ["pass", "pass", "pass", "fail"]
