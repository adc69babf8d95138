"""Verdicts on one run's validity, from its record alone.

A required gate that fails or cannot tell takes the run's rank and keeps its number. An advisory gate is
shown beside the number.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from results.mean import mean_of
from results.peaks import MissingPeak, peak_flops
from results.record import HEADLINE_CONVENTION, DeviceSample, Gate, HostSample, Measurement, Outcome, RunRecord, Window

SYNC_FRACTION = 0.005
"""Largest share of T(2k) that a synchronisation, or a missing half of the work, may make up."""
SCALING_FRACTION = 0.3
"""However noisy the windows are, twice the work must take twice the time to within this."""
STUDENT_T_999 = (636.6, 31.60, 12.92, 8.61, 6.87, 5.96, 5.41, 5.04, 4.78, 4.59)
"""Two-sided 99.9 % quantile for 1, 2, ... 10 degrees of freedom (any table of Student's t)."""
DATA_WAIT_FRACTION = 0.02
OTHER_CPUS = 0.25
"""Processors that other work may keep busy, as a share of all."""
STOLEN_CPUS = 0.02
DRIFT_FRACTION = 0.05
CLOCK_FRACTION = 0.1
"""By which the clock may differ between the first and the second half of the windows."""
FIRST_LOSS_NATS = 0.5
REPEATED_LOSSES = 0.1
"""Share of the losses that may repeat the one before exactly: fresh batches seldom do, a cached answer always does."""

PARITY = "parity"

LONGEST_EVIDENCE = 1000
"""Characters; evidence may quote what a backend says of itself."""

Verdict = tuple[Outcome, str]
Sample = TypeVar("Sample", HostSample, DeviceSample)


def evaluate(record: RunRecord) -> tuple[Gate, ...]:
    """Every gate of a timed run; none for a run that has no windows."""
    measured = record.measurement
    if measured is None or not measured.windows:
        return ()
    return tuple(
        Gate(id=name, required=required, outcome=outcome, evidence=evidence[:LONGEST_EVIDENCE])
        for name, (required, check) in GATES.items()
        for outcome, evidence in [check(record, measured)]
    )


def is_ranked(record: RunRecord, gates: Sequence[Gate] | None = None, *, parity_confirmed: bool = False) -> bool:
    """Whether the run may enter a verdict: timed, measured, ok, and every required gate passed.

    Where no float64 reference can be computed, parity cannot tell from one record; ``parity_confirmed``
    says that another case's trajectory confirmed this one's. ``gates``: what `evaluate` said, of who has asked already.
    """
    if record.status != "ok" or record.provenance != "measured":
        return False
    gates = evaluate(record) if gates is None else gates
    lost = [gate for gate in lost_by(record, gates) if not (parity_confirmed and waits_for_parity(record, gate))]
    return bool(gates) and not lost


def lost_by(record: RunRecord, gates: Sequence[Gate] | None = None) -> list[Gate]:
    """Required gates that do not pass, judged now: what was stored with the record is for its reader."""
    gates = evaluate(record) if gates is None else gates
    return [gate for gate in gates if gate.required and gate.outcome != "pass"]


def waits_for_parity(record: RunRecord, gate: Gate) -> bool:
    """Whether the gate is parity that no reference can settle."""
    return gate.id == PARITY and record.reference is None


def _synchronisation(record: RunRecord, measured: Measurement) -> Verdict:
    checks = [check for check in measured.self_checks if check.twice_seconds > 0]
    if not checks:
        return "unknown", "no self-check was made"
    idle = statistics.median(check.idle_seconds / check.twice_seconds for check in checks)
    excess = statistics.median((2 * check.once_seconds - check.twice_seconds) / check.twice_seconds for check in checks)
    allowed = min(SYNC_FRACTION + self_check_noise(measured, checks[0].steps), SCALING_FRACTION)
    evidence = (
        f"idle synchronisation {idle:.2%} of T(2k), limit {SYNC_FRACTION:.1%}; "
        f"2T(k)-T(2k) {excess:+.2%} of T(2k), limit {allowed:.1%} with this run's noise"
    )
    return _outcome(idle <= SYNC_FRACTION and abs(excess) <= allowed), evidence


def self_check_noise(measured: Measurement, steps: int) -> float:
    """How far from 0 the spread of the windows alone takes (2T(k) - T(2k)) / T(2k), but once in a thousand runs.

    With relative deviation s of a window of K steps, independent steps give T(k) a deviation of
    s sqrt(K/k), and the difference one of s sqrt(K/k) sqrt(1 + 1/2). As s is estimated from few windows,
    the factor is Student's t. Infinite with one window: nothing is known of its noise.
    """
    rates = [window.seconds / window.steps for window in measured.windows]
    if len(rates) < 2:
        return math.inf
    mean = statistics.fmean(rates)
    spread = math.sqrt(math.fsum((rate - mean) ** 2 for rate in rates) / (len(rates) - 1)) / mean
    factor = STUDENT_T_999[min(len(rates) - 1, len(STUDENT_T_999)) - 1]
    return factor * spread * math.sqrt(1.5 * measured.steps_per_window / steps)


def _parity(record: RunRecord, measured: Measurement) -> Verdict:
    reference = record.reference
    if reference is None:
        return (
            "unknown",
            "no float64 reference for this workload; compared cases are checked against each other",
        )
    own = [step.loss for step in measured.steps[: len(reference.losses)]]
    if len(own) < len(reference.losses):
        return "unknown", f"the run has {len(own)} of the reference's {len(reference.losses)} steps"
    apart = deviations(own, reference.losses)
    worst = max(range(len(apart)), key=apart.__getitem__)
    evidence = f"largest deviation {apart[worst]:.1e} at step {worst}, limit {reference.relative_tolerance:.1e}"
    return _outcome(apart[worst] <= reference.relative_tolerance), evidence


def deviations(own: Sequence[float | None], true: Sequence[float]) -> list[float]:
    """Relative deviation of each loss from the true one; infinite where it is not a number, or the true one is zero."""
    return [
        abs(one - other) / abs(other) if one is not None and other else math.inf
        for one, other in zip(own, true, strict=True)
    ]


def _loss(record: RunRecord, measured: Measurement) -> Verdict:
    losses = [step.loss for step in measured.steps if step.loss is not None]
    if len(losses) < len(measured.steps) or any(step.gradient_norm is None for step in measured.steps):
        return "fail", "a loss or gradient norm is not a finite number"
    if len(losses) < 10:
        return "unknown", f"only {len(losses)} steps"
    if (repeated := statistics.fmean(one == other for one, other in pairwise(losses))) > REPEATED_LOSSES:
        return "fail", f"{repeated:.0%} of the losses repeat the one before to the last digit"
    tail = losses[-max(5, len(losses) // 10) :]
    start_off = abs(losses[0] - record.case.expected_first_loss)
    evidence = f"from {losses[0]:.3f} (expected {record.case.expected_first_loss:.2f}) to {mean_of(tail):.3f} nats"
    return _outcome(start_off <= FIRST_LOSS_NATS and mean_of(tail) < losses[0]), evidence


def _steps(record: RunRecord, measured: Measurement) -> Verdict:
    """Every step that was timed came back with a loss, once and in order."""
    windows = sum(window.steps for window in (*measured.warmup, *measured.windows))
    expected = 1 + windows + sum(3 * check.steps for check in measured.self_checks)
    whole = len(measured.steps) == expected and all(step.step == i for i, step in enumerate(measured.steps))
    return _outcome(whole), f"{len(measured.steps)} losses read back of {expected} steps timed"


def _recompile(record: RunRecord, measured: Measurement) -> Verdict:
    before, after = measured.compiled_graphs_before, measured.compiled_graphs_after
    if before is None or after is None:
        return "unknown", "the backend cannot count compiled graphs"
    return _outcome(before == after), f"{after - before} graphs compiled inside windows"


def _precision(record: RunRecord, measured: Measurement) -> Verdict:
    kept, needed = measured.session.get("operand_fraction_bits"), record.case.operand_fraction_bits
    exact = measured.session.get("accumulation_exact")
    if not isinstance(kept, int) or not isinstance(exact, bool):
        return "unknown", "the backend did not probe its matrix products"
    evidence = f"operands keep {kept} fraction bits, {record.case.precision} needs {needed}; "
    return _outcome(kept >= needed and exact), evidence + f"accumulation {'exact' if exact else 'too narrow'}"


def _device(record: RunRecord, measured: Measurement) -> Verdict:
    found, expected = measured.session.get("device_type"), record.case.device_type
    elsewhere = measured.session.get("elsewhere")
    if elsewhere:
        return "fail", f"operations ran elsewhere: {elsewhere}"
    return _outcome(found == expected), f"parameters are on {found}, the backend promises {expected}"


def _below_peak(record: RunRecord, measured: Measurement) -> Verdict:
    achieved = achieved_flops(record)
    limit, what = flops_limit(record)
    if limit is None:
        return "unknown", what
    return _outcome(achieved <= limit), f"{achieved:.3g} FLOP/s against {limit:.3g} ({what})"


def flops_limit(record: RunRecord) -> tuple[float | None, str]:
    """What no honest run can exceed, FLOP/s of all devices used, and what that is; or None and why."""
    case, measured = record.case, record.measurement
    if case.device_type == "cpu":
        return cpu_ceiling(
            record.environment.logical_cpus, case.precision
        ), "ceiling of any CPU with as many processors"
    if measured is None or case.peak_dtype is None:
        return None, f"no peak is defined for precision {case.precision}"
    stated = measured.session.get("peak_flops_per_second")
    if isinstance(stated, int | float) and stated > 0:
        return stated * case.chips, f"stated by the backend: {measured.session.get('peak_source')}"
    peak = peak_flops(str(measured.session.get("device_name")), case.peak_dtype)
    if isinstance(peak, MissingPeak):
        return None, peak.reason
    return peak.flops_per_second * case.chips, f"dense {peak.dtype} peak of {peak.device}"


def cpu_ceiling(logical_cpus: int, precision: str) -> float:
    """A bound that no CPU of 2026 exceeds, FLOP/s; for catching impossible numbers, not for utilisation.

    6 GHz, and per cycle and processor twice what the widest units do: two 512-bit multiply-add units are 64
    operations in fp32, Intel AMX is 1024 in bf16 (16 x 16 x 32 multiply-adds in 16 cycles, Intel 64 and
    IA-32 Optimization Reference Manual).
    """
    return logical_cpus * 6e9 * (2048 if precision == "bf16-mixed" else 128)


def achieved_flops(record: RunRecord) -> float:
    """FLOP/s over the windows, under the headline convention."""
    return tokens_per_second(record) * record.case.flops_per_token[HEADLINE_CONVENTION]


def tokens_per_second(record: RunRecord) -> float:
    """The run's throughput: all window tokens over all window seconds."""
    windows = record.measurement.windows if record.measurement else ()
    return sum(window.tokens for window in windows) / sum(window.seconds for window in windows)


def _as_recipe(record: RunRecord, measured: Measurement) -> Verdict:
    fallback = measured.session.get("fallback")
    return _outcome(not fallback), str(fallback or "runs as the recipe asks")


def _data_wait(record: RunRecord, measured: Measurement) -> Verdict:
    share = sum(w.batch_wait_seconds for w in measured.windows) / sum(w.seconds for w in measured.windows)
    return _outcome(
        share <= DATA_WAIT_FRACTION
    ), f"batches take {share:.2%} of the windows, limit {DATA_WAIT_FRACTION:.0%}"


def _steady(record: RunRecord, measured: Measurement) -> Verdict:
    if len(measured.windows) < 4:
        return "unknown", f"only {len(measured.windows)} windows"
    half = len(measured.windows) // 2
    drift = _mean_step_seconds(measured.windows[-half:]) / _mean_step_seconds(measured.windows[:half]) - 1
    warm = "steady" if measured.warmup_steady else "not steady within its limit"
    evidence = (
        f"second half of the windows {drift:+.1%} slower than the first, limit {DRIFT_FRACTION:.0%}; warm-up {warm}"
    )
    return _outcome(abs(drift) <= DRIFT_FRACTION and measured.warmup_steady is True), evidence


def _mean_step_seconds(windows: Sequence[Window]) -> float:
    return sum(window.seconds for window in windows) / sum(window.steps for window in windows)


def _quiet(record: RunRecord, measured: Measurement) -> Verdict:
    """Nobody else's work on the processors, nor, as far as it tells, on the device."""
    companies = _known(_number(sample, "processes") for sample in in_windows(record.device_samples, measured))
    if any(company > 1 for company in companies):
        return "fail", f"up to {max(companies):.0f} processes on the device, where the run has one"
    return _samples_below(record, measured, "busy with other work", lambda sample: sample.other_cpus, OTHER_CPUS)


def _not_stolen(record: RunRecord, measured: Measurement) -> Verdict:
    return _samples_below(record, measured, "given to other machines", lambda sample: sample.stolen_cpus, STOLEN_CPUS)


def _samples_below(
    record: RunRecord,
    measured: Measurement,
    what: str,
    read: Callable[[HostSample], float | None],
    limit: float,
) -> Verdict:
    known = _known(map(read, in_windows(record.host_samples, measured)))
    if not known:
        return "unknown", "the host did not tell"
    share = mean_of(known) / record.environment.logical_cpus
    return _outcome(share <= limit), f"{share:.1%} of processor time {what}, limit {limit:.0%}"


def _clocks(record: RunRecord, measured: Measurement) -> Verdict:
    """The device's own clock and whether it held itself back; the processors' clock where they are the device."""
    samples = in_windows(record.device_samples, measured)
    throttled = _known(_number(sample, "throttled") for sample in samples)
    clocks = _known(_number(sample, "clock_mhz") for sample in samples)
    if record.case.device_type == "cpu":
        clocks = _known(sample.cpu_mhz for sample in in_windows(record.host_samples, measured))
    if any(throttled):
        return "fail", f"the device held itself back in {sum(map(bool, throttled))} of {len(throttled)} samples"
    if len(clocks) < 2:
        return ("pass", "not throttled; no clock is told") if throttled else ("unknown", "no clock is told")
    half = len(clocks) // 2
    before, after = mean_of(clocks[:half]), mean_of(clocks[-half:])
    change = after / before - 1 if before > 0 else math.inf
    evidence = f"from {before:,.0f} to {after:,.0f} MHz ({change:+.1%}), limit {CLOCK_FRACTION:.0%}"
    return _outcome(abs(change) <= CLOCK_FRACTION), evidence


def _number(sample: DeviceSample, name: str) -> float | None:
    value = sample.values.get(name)
    return float(value) if isinstance(value, int | float) else None


def in_windows(samples: Sequence[Sample], measured: Measurement) -> list[Sample]:
    """The samples taken between the start of the first window and the end of the last."""
    first, last = measured.windows[0], measured.windows[-1]
    origin = measured.origin_unix_seconds
    start, end = origin + first.start_seconds, origin + last.start_seconds + last.seconds
    return [sample for sample in samples if start <= sample.unix_seconds <= end]


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _outcome(holds: bool) -> Outcome:
    return "pass" if holds else "fail"


GATES: dict[str, tuple[bool, Callable[[RunRecord, Measurement], Verdict]]] = {
    "synchronisation": (True, _synchronisation),
    PARITY: (True, _parity),
    "loss": (True, _loss),
    "steps": (True, _steps),
    "recompile": (True, _recompile),
    "precision": (True, _precision),
    "device": (True, _device),
    "below-peak": (True, _below_peak),
    "as-recipe": (False, _as_recipe),
    "data-wait": (False, _data_wait),
    "steady": (False, _steady),
    "clocks": (False, _clocks),
    "quiet-host": (False, _quiet),
    "stolen-time": (False, _not_stolen),
}
"""Gate id -> (required, check)."""
