"""Each gate passes on an honest record and catches its own sabotage."""

import math
import random

import pytest
from builders import STEPS, WINDOWS, make_record
from scipy.stats import t as student_t

from results.gates import GATES, STUDENT_T_999, cpu_ceiling, deviations, evaluate, is_ranked, lost_by, self_check_noise
from results.record import RunRecord


def outcome(record: RunRecord, gate: str) -> str:
    return next(found.outcome for found in record.gates if found.id == gate)


def test_an_honest_run_passes_everything() -> None:
    record = make_record()
    assert {gate.id for gate in record.gates} == set(GATES)
    assert all(gate.outcome == "pass" for gate in record.gates), record.gates
    assert is_ranked(record)


def _window(**changes: float) -> dict:
    return {"start_seconds": 10.0, "seconds": 1.0, "steps": 4, "tokens": 1024, "batch_wait_seconds": 0.0} | changes


def _windows(*seconds: float, **changes: float) -> list[dict]:
    """Windows of these lengths, one after the other."""
    starts = [10.0 + sum(seconds[:i]) for i in range(len(seconds))]
    return [_window(start_seconds=start, seconds=one, **changes) for start, one in zip(starts, seconds, strict=True)]


def _sample(unix_seconds: float, **changes: float) -> dict:
    return {"unix_seconds": unix_seconds, "other_cpus": 0.0, "stolen_cpus": 0.0, "cpu_mhz": None} | changes


def _device_sample(unix_seconds: float, **values: float) -> dict:
    return {"unix_seconds": unix_seconds, "sampler": "test", "values": values}


CHECK = {"steps": 4, "once_seconds": 1.0, "twice_seconds": 2.0, "idle_seconds": 0.0}
FALLING = [5.5 * 0.98**step for step in range(STEPS)]
SABOTAGE = {
    "a synchronisation that costs": (
        "synchronisation",
        {"measurement__self_checks": [CHECK | {"idle_seconds": 0.02}]},
    ),
    "half of the work missing": (
        "synchronisation",
        {"measurement__self_checks": [CHECK | {"twice_seconds": 1.1}]},
    ),
    "another trajectory": ("parity", {"losses": [5.5, 5.4, *FALLING[2:]]}),
    "NaN": ("loss", {"losses": [*FALLING[:30], None, *FALLING[31:]]}),
    "a loss that does not fall": ("loss", {"losses": [5.5] * STEPS}),
    "a loss that starts elsewhere": ("loss", {"losses": [loss + 3 for loss in FALLING]}),
    "steps that never came back": ("steps", {"losses": FALLING[:-1]}),
    "time that does not grow with the work, in one noisy window": (
        "synchronisation",
        {
            "measurement__windows": _windows(1.0),
            "measurement__self_checks": [CHECK | {"twice_seconds": 1.0}],
        },
    ),
    "a recompilation in a window": ("recompile", {"measurement__compiled_graphs_after": 2}),
    "bf16 posing as fp32": ("precision", {"measurement__session__operand_fraction_bits": 7}),
    "tf32 posing as fp32": ("precision", {"measurement__session__operand_fraction_bits": 10}),
    "a narrow accumulator": ("precision", {"measurement__session__accumulation_exact": False}),
    "a hidden CPU": ("device", {"case__device_type": "cuda"}),
    "operations on the CPU": ("device", {"measurement__session__elsewhere": "on the CPU: aten::sort (3)"}),
    "more than any CPU can do": ("below-peak", {"tokens_per_second": 1e9}),
}
ADVICE = {
    "eager where compiled was asked": ("as-recipe", {"measurement__session__fallback": "eager: no compiler"}),
    "slow data": ("data-wait", {"measurement__windows": _windows(*[1.0] * WINDOWS, batch_wait_seconds=0.1)}),
    "a drifting step time": ("steady", {"measurement__windows": _windows(*[1 + i / 20 for i in range(WINDOWS)])}),
    "a warm-up that never settled": ("steady", {"measurement__warmup_steady": False}),
    "a busy machine": (
        "quiet-host",
        {"host_samples": [_sample(1010.5, other_cpus=1.0)]},
    ),
    "a processor that slows down": (
        "clocks",
        {"host_samples": [_sample(1010.1 + i, cpu_mhz=mhz) for i, mhz in enumerate([3000.0, 3000.0, 1800.0, 1800.0])]},
    ),
    "a device that holds itself back": (
        "clocks",
        {"device_samples": [_device_sample(1011.0, throttled=throttled) for throttled in (0.0, 1.0, 0.0)]},
    ),
    "a device that slows down": (
        "clocks",
        {
            "case__device_type": "cuda",
            "measurement__session__device_type": "cuda",
            "measurement__session__peak_flops_per_second": 1e12,
            "device_samples": [_device_sample(1011.0 + i, clock_mhz=mhz) for i, mhz in enumerate((1980.0, 1200.0))],
        },
    ),
    "a stolen processor": (
        "stolen-time",
        {"host_samples": [_sample(1010.5, stolen_cpus=0.5)]},
    ),
}


@pytest.mark.parametrize("name", SABOTAGE)
def test_a_required_gate_takes_the_rank_and_keeps_the_number(name: str) -> None:
    gate, changes = SABOTAGE[name]
    record = make_record(**changes)
    assert outcome(record, gate) == "fail"
    assert not is_ranked(record)
    assert gate in [lost.id for lost in lost_by(record)]


@pytest.mark.parametrize("name", ADVICE)
def test_an_advisory_gate_is_shown_and_keeps_the_rank(name: str) -> None:
    gate, changes = ADVICE[name]
    record = make_record(**changes)
    assert outcome(record, gate) == "fail"
    assert is_ranked(record)


@pytest.mark.parametrize(
    "changes",
    [
        {"reference__losses": [0.0, 5.0]},
        {"measurement__steps": []},
        {"measurement__self_checks": [CHECK | {"steps": 2**62}]},
        {"measurement__self_checks": [CHECK | {"twice_seconds": 5e-324}]},
        {"measurement__session__fallback": "x" * 20_000},
        {"measurement__session__peak_flops_per_second": 2**63 - 1, "case__device_type": "x", "case__world_size": 2**40},
        {"case__expected_first_loss": 1e308, "losses": [-1e308] * STEPS},
        {"environment__logical_cpus": 2**63 - 1},
    ],
)
def test_the_oddest_valid_record_has_every_gate(changes: dict) -> None:
    record = make_record(**changes)
    assert {gate.id for gate in record.gates} == set(GATES)
    assert all(0 < len(gate.evidence) <= 1000 for gate in record.gates)


def test_a_true_loss_of_zero_has_no_relative_deviation() -> None:
    assert deviations([0.0, None, 2.0], [0.0, 1.0, 1.0]) == [math.inf, math.inf, 1.0]


def test_a_run_is_judged_now_and_not_by_what_was_stored() -> None:
    record = make_record(losses=[5.5] * STEPS)
    flattered = record.model_copy(update={"gates": make_record().gates})
    assert not is_ranked(flattered)


def test_a_simulated_run_is_never_ranked() -> None:
    assert not is_ranked(make_record(provenance="simulated"))


def test_a_backend_may_state_its_own_peak_with_a_source() -> None:
    stated = {"measurement__session__peak_flops_per_second": 1e12, "measurement__session__peak_source": "data sheet"}
    changes = {"case__device_type": "mychip", "measurement__session__device_type": "mychip"}
    assert outcome(make_record(**changes), "below-peak") == "unknown"
    assert is_ranked(make_record(**changes, **stated))
    assert not is_ranked(make_record(**changes, **stated, tokens_per_second=1e7))


@pytest.mark.parametrize(
    ("gate", "changes"),
    [
        ("synchronisation", {"measurement__self_checks": []}),
        ("parity", {"losses": FALLING[:12]}),
        ("recompile", {"measurement__compiled_graphs_before": None}),
        ("precision", {"measurement__session": {"device_type": "cpu"}}),
        ("below-peak", {"case__device_type": "cuda", "measurement__session__device_name": "Unheard Of 9000"}),
    ],
)
def test_what_cannot_be_told_is_unknown_and_unranked(gate: str, changes: dict) -> None:
    record = make_record(**changes)
    assert outcome(record, gate) == "unknown"
    assert not is_ranked(record)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], "unknown"),
        ([_device_sample(1011.0, clock_mhz=1980.0)], "unknown"),
        ([_device_sample(1011.0, power_watts=700.0)] * 3, "unknown"),
        ([_device_sample(1011.0, throttled=0.0)] * 3, "pass"),
        ([_device_sample(1001.0, throttled=1.0), _device_sample(1011.0, throttled=0.0)], "pass"),
        ([_device_sample(1011.0, clock_mhz=1980.0, throttled=0.0), _device_sample(1012.0, clock_mhz=1935.0)], "pass"),
    ],
)
def test_the_clock_of_a_device_is_its_own(samples: list[dict], expected: str) -> None:
    """The host's clock says nothing of it, and what is not told is unknown."""
    changes = {"case__device_type": "cuda", "measurement__session__device_type": "cuda"}
    assert outcome(make_record(device_samples=samples, **changes), "clocks") == expected


def test_without_a_reference_parity_is_left_to_the_comparison() -> None:
    assert outcome(make_record(reference=False), "parity") == "unknown"


def test_samples_outside_the_windows_do_not_count() -> None:
    busy_before = [{"unix_seconds": 1001.0, "other_cpus": 2.0, "stolen_cpus": 0.0, "cpu_mhz": None}]
    assert outcome(make_record(host_samples=busy_before), "quiet-host") == "unknown"


def test_a_failed_run_has_no_gates_and_no_rank() -> None:
    record = make_record(status="timeout", reason="too slow", measurement=None)
    assert evaluate(record) == ()
    assert not is_ranked(record)


def test_self_check_noise_follows_the_spread_of_the_windows() -> None:
    quiet, noisy = make_record(), make_record(measurement__windows=_windows(*(0.9, 1.1) * 4))
    assert quiet.measurement is not None
    assert noisy.measurement is not None
    assert self_check_noise(quiet.measurement, 4) == pytest.approx(0.0)
    assert self_check_noise(noisy.measurement, 4) == pytest.approx(5.41 * 0.1069 * math.sqrt(1.5), rel=0.01)


def test_one_burst_of_other_work_does_not_decide() -> None:
    burst = CHECK | {"twice_seconds": 3.0}
    assert outcome(make_record(measurement__self_checks=[CHECK, burst, CHECK]), "synchronisation") == "pass"
    assert outcome(make_record(measurement__self_checks=[burst, burst, CHECK]), "synchronisation") == "fail"


def test_the_quantiles_are_students() -> None:
    assert pytest.approx([student_t.ppf(0.9995, df) for df in range(1, 11)], rel=1e-3) == STUDENT_T_999


@pytest.mark.parametrize("windows", [3, 4, 8])
def test_noise_alone_seldom_fails_the_synchronisation(windows: int) -> None:
    """A required gate that alarms on noise would take the rank of honest runs."""
    chance, trials, failed = random.Random(0), 1000, 0
    for _ in range(trials):
        seconds = [math.exp(chance.gauss(0, 0.05)) for _ in range(windows)]
        once, twice = (sum(math.exp(chance.gauss(0, 0.05)) for _ in range(count)) for count in (1, 2))
        record = make_record(
            measurement__windows=_windows(*seconds),
            measurement__self_checks=[CHECK | {"once_seconds": once, "twice_seconds": twice}],
            with_gates=False,
        )
        assert record.measurement is not None
        failed += GATES["synchronisation"][1](record, record.measurement)[0] != "pass"
    assert failed / trials <= 0.005


def test_known_cpus_are_below_the_ceiling() -> None:
    """Xeon 6980P: 128 cores, about 3.2 GHz all-core, two AVX-512 units, AMX."""
    assert cpu_ceiling(128, "fp32") > 128 * 3.2e9 * 64
    assert cpu_ceiling(128, "bf16-mixed") > 128 * 3.2e9 * 2048


def test_a_mean_of_absurd_numbers_is_no_overflow() -> None:
    from results.mean import mean_of

    assert mean_of([1e308, 1e308, 1e308]) == pytest.approx(1e308)
    assert mean_of([1.0, 2.0, 6.0]) == 3.0
