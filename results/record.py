"""`RunRecord`: one run of one case, as one JSON file that explains itself.

Immutable once written; holds raw samples, never a cost (results re-prices it years later). Names and
numbers only: no secret, account, serial number, user name or home path.

Format history (every version loads for ever; tests/golden holds a file of each):
    1   first format; what no run can have measured (results/fields.py, windows that overlap, tokens that are no whole
        steps) was once accepted and is refused now; device_samples, wall_seconds, place.pilot_runs,
        place.target_half_width, case.devices_per_chip, achievable, environment.instance.region and
        environment.instance.purchase_model came later and may be missing
"""

import hashlib
import json
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from results.fields import (
    OVERLAP_SECONDS,
    Count,
    Digest,
    Fraction,
    Identifier,
    JsonTable,
    LongText,
    Number,
    Positive,
    Rate,
    ScalarTable,
    Seconds,
    Series,
    Text,
    Timestamp,
    WindowSeconds,
)

SCHEMA_VERSION = 1

HEADLINE_CONVENTION = "no-embedding, causal attention"
"""The FLOP count behind utilisation and the below-peak gate: the work that must be done and no more."""

Status = Literal["ok", "failed", "out-of-memory", "timeout", "unavailable"]
Outcome = Literal["pass", "fail", "unknown"]


class Strict(BaseModel):
    """Frozen; unknown fields and silent conversions are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


MANY = ConfigDict(extra="forbid", strict=True)
"""As `Strict`, of what a record holds hundreds of: dataclasses with slots take a fifth of the memory of models."""


@dataclass(config=MANY, frozen=True, slots=True, kw_only=True)
class Window:
    """K whole optimizer steps between two proven synchronisations."""

    start_seconds: Seconds
    """Since the measurement's origin."""
    seconds: WindowSeconds
    steps: Positive
    tokens: Positive
    """Real target tokens."""
    batch_wait_seconds: Seconds
    """Of `seconds`, time in which the host made batches."""

    @model_validator(mode="after")
    def _waits_within(self) -> "Window":
        if self.batch_wait_seconds > self.seconds:
            raise ValueError(f"batch_wait_seconds {self.batch_wait_seconds} is more than seconds {self.seconds}")
        return self


class StartUp(Strict):
    """From nothing to the first finished step."""

    cache: Literal["cold", "warm"]
    """Whether compile caches held this case already."""
    import_seconds: Seconds
    """From the worker's first line to the backend at hand; the framework is imported by opening."""
    open_seconds: Seconds
    """Framework imported, model and optimizer built on the device."""
    first_step_seconds: Seconds
    """First step, compilation included, to its loss read back."""


@dataclass(config=MANY, frozen=True, slots=True, kw_only=True)
class StepValue:
    """What one optimizer step computed."""

    step: Count
    loss: Number | None
    """Nats per token; None: not a finite number, which fails a gate."""
    gradient_norm: Number | None


class SelfCheck(Strict):
    """Does twice the work take twice the time, and is an idle synchronisation free?"""

    steps: Positive
    """k."""
    once_seconds: Seconds
    """T(k)."""
    twice_seconds: Seconds
    """T(2k)."""
    idle_seconds: Seconds
    """T(0): synchronise and read back with nothing enqueued."""


class Memory(Strict):
    """Peak memory of the worker."""

    peak_bytes: Count
    source: Text


class Measurement(Strict):
    """What the worker measured."""

    origin_unix_seconds: Seconds
    """Wall clock at the origin of start_seconds, to line up samples taken by other processes."""
    start_up: StartUp
    warmup: Series[Window]
    warmup_steady: bool | None
    """Whether warm-up ended because step time was steady; None if there was no warm-up."""
    self_checks: Series[SelfCheck]
    steps_per_window: Count
    """K, declared before the first window."""
    windows: Series[Window]
    steps: Series[StepValue]
    """Every step of the run from step 0."""
    compiled_graphs_before: Count | None
    compiled_graphs_after: Count | None
    memory: Memory | None
    session: ScalarTable
    """`Session.describe`: device, versions, kernels really used, precision probe."""

    @model_validator(mode="after")
    def _takes_turns(self) -> "Measurement":
        """Windows come one after the other: seconds in another unit than their starts would overlap."""
        timed = [("warmup", i, window) for i, window in enumerate(self.warmup)]
        timed += [("windows", i, window) for i, window in enumerate(self.windows)]
        for (_, _, before), (name, number, window) in pairwise(timed):
            if window.start_seconds + OVERLAP_SECONDS < before.start_seconds + before.seconds:
                raise ValueError(f"{name}.{number}.start_seconds is before the end of the window before")
        for number, window in enumerate(self.windows):
            if window.steps != self.steps_per_window:
                raise ValueError(f"windows.{number}.steps is {window.steps}, steps_per_window {self.steps_per_window}")
        return self


@dataclass(config=MANY, frozen=True, slots=True, kw_only=True)
class HostSample:
    """The host as another process saw it, over about a second."""

    unix_seconds: Seconds
    other_cpus: Number | None
    """Processors kept busy by anything but this run."""
    stolen_cpus: Number | None
    """Processors' worth of time that the hypervisor gave to others."""
    cpu_mhz: Number | None


@dataclass(config=MANY, frozen=True, slots=True, kw_only=True)
class DeviceSample:
    """One reading of a backend's sampler, taken by another process than the timed one."""

    unix_seconds: Seconds
    sampler: Text
    values: ScalarTable
    """Quantities by name, units in the names: `backends.contract.Sampler`; null where the device does not tell."""


class Place(Strict):
    """Where a run stands in its suite."""

    suite: Text
    suite_id: Identifier
    """Random, of one invocation: rounds pair only within it."""
    role: Literal["cold-start", "timed"]
    round: Count
    order: Count
    """Position among the runs of its round."""
    case_index: Count
    """Position of the case in its suite; 0 is the baseline."""
    runs_planned: Count
    pilot_runs: Positive | None = None
    """Of a suite with a target: its first rounds, whose spread decided how many to make. None: that was declared."""
    target_half_width: Fraction | None = None
    """Relative half-width that was asked for; None without a target."""

    @model_validator(mode="after")
    def _has_a_whole_pilot(self) -> "Place":
        if self.pilot_runs is not None and self.pilot_runs > self.runs_planned:
            raise ValueError(f"pilot_runs {self.pilot_runs} is more than runs_planned {self.runs_planned}")
        return self


class Case(Strict):
    """Workload x backend x recipe x placement."""

    workload: Text
    digest: Digest
    specification: JsonTable
    """The canonical workload, whose sha256 is the digest."""
    backend: Text
    device_type: Text
    recipe: JsonTable
    world_size: Positive
    """Devices that the run used, as the framework counts them."""
    devices_per_chip: Positive = 1
    """What the framework counts on one chip: 4 on a Trainium2, whose cores work in pairs."""
    tokens_per_step: Positive
    parameters: Count
    flops_per_token: dict[str, Positive]
    """By convention; the headline's must be there."""
    precision: Literal["fp32", "bf16-mixed", "fp64", "bf16-emulated"]
    peak_dtype: Literal["fp32", "bf16"] | None
    operand_fraction_bits: Count
    """Least the precision policy allows."""
    expected_first_loss: Number
    """ln(vocabulary) plus half the variance of the initial logits."""

    @property
    def chips(self) -> float:
        """Chips that the run used, or parts of one: what is rented, and what a data sheet's peak is of."""
        return self.world_size / self.devices_per_chip

    @model_validator(mode="after")
    def _is_itself(self) -> "Case":
        canonical = json.dumps(self.specification, sort_keys=True, separators=(",", ":"))
        if hashlib.sha256(canonical.encode()).hexdigest() != self.digest:
            raise ValueError("digest is not that of the specification")
        if HEADLINE_CONVENTION not in self.flops_per_token:
            raise ValueError(f"flops_per_token lacks {HEADLINE_CONVENTION!r}")
        return self


class Reference(Strict):
    """The float64 trajectory that the run must track."""

    losses: Annotated[Series[Number], Field(min_length=1)]
    relative_tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    derivation: Text


class Plan(Strict):
    """What was declared before the run."""

    windows: Count
    window_seconds: Seconds
    minimum_steps_per_window: Count
    warmup_minimum_steps: Count
    warmup_maximum_seconds: Seconds
    steady_fraction: Fraction
    time_limit_seconds: Seconds


class Instance(Strict):
    """The rented machine, as far as its firmware and its cloud's metadata server tell."""

    provider: Text | None
    name: Text | None
    source: Text
    """How it is known, or why it is not."""
    region: Text | None = None
    """The provider's name of it. None: unknown, as in older records."""
    purchase_model: Text | None = None
    """What the machine says of how it is bought: on-demand, spot, capacity-block. None: unknown."""


class Environment(Strict):
    """Software and hardware of the run."""

    host_id: Identifier
    """Random, kept on this machine only: tells hosts apart, names none."""
    boot_id: Identifier
    operating_system: Text
    kernel: Text
    python: Text
    cpu_model: Text
    logical_cpus: Positive
    physical_cpus: Count | None
    memory_bytes: Count
    accelerator_driver: Text | None
    instance: Instance
    packages: dict[str, Text]
    """Versions of the packages that matter."""
    packages_sha256: Digest
    """Of every installed distribution and version, sorted."""
    source_commit: Text | None
    source_modified: bool | None
    source_sha256: Digest
    """Of fairchip's own source files."""
    variables: dict[str, LongText]
    """What the recipe set before the interpreter started, and what the user had set of known relevance."""


class Achievable(Strict):
    """What one device reached in matrix products and in copies alone, asked for apart from the run."""

    dtype: Literal["float64", "float32", "bfloat16"]
    """Of the operands."""
    product_flops_per_second: Rate
    """A multiply-add counts as two."""
    product_size: Positive
    """Rows and columns of the square matrices that were fastest."""
    copy_bytes_per_second: Rate
    """Read and written ones together."""
    device_name: Text
    measured_at: Timestamp


class Gate(Strict):
    """One check of validity."""

    id: Text
    required: bool
    outcome: Outcome
    evidence: Text


class RunRecord(Strict):
    """One run. See the module for the format's rules."""

    schema_version: Literal[1]
    run_id: Identifier
    created_at: Timestamp
    provenance: Literal["measured", "simulated"]
    status: Status
    reason: Text
    """Why the status is not ok; empty if it is."""
    place: Place
    case: Case
    plan: Plan
    reference: Reference | None
    measurement: Measurement | None
    host_samples: Series[HostSample]
    device_samples: Series[DeviceSample] = ()
    wall_seconds: Seconds | None = None
    """From the start of the worker to its end: the machine time that the run took. None in older records."""
    environment: Environment
    achievable: Achievable | None = None
    """Of one device of the run's kind, in this boot. None where nobody asked."""
    stderr_tail: LongText
    gates: Series[Gate]

    @model_validator(mode="after")
    def _counts_its_tokens(self) -> "RunRecord":
        """A window holds whole steps of the case: tokens in another unit (thousands) would not."""
        measured, tokens_per_step = self.measurement, self.case.tokens_per_step
        for name in ("warmup", "windows"):
            for number, window in enumerate(getattr(measured, name, ())):
                if window.tokens != window.steps * tokens_per_step:
                    raise ValueError(
                        f"measurement.{name}.{number}.tokens is {window.tokens}, not {window.steps} steps of "
                        f"case.tokens_per_step {tokens_per_step}"
                    )
        return self


def json_schema() -> dict[str, Any]:
    """JSON Schema of the current format, published in docs/record.schema.json."""
    return RunRecord.model_json_schema(mode="serialization")
