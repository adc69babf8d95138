"""What the environment asks of the stand-in: read once, when the device is registered."""

import os
from dataclasses import dataclass

FAULTS = frozenset(
    {
        "early-sync",
        "silent-fallback",
        "compile-fails",
        "recompile-every-N-steps",
        "corrupt-scaled-gradients",
        "no-device",
        "slow-first-step",
    }
)


@dataclass(frozen=True)
class Settings:
    """One field a variable; README.md beside the package says what each is for."""

    faults: frozenset[str]
    cores: int
    memory_bytes: int
    op_seconds: float
    bytes_per_second: float
    compile_seconds: float
    first_step_seconds: float
    recompile_every: int
    fallback_operators: tuple[str, ...]
    flat_memory_stats: bool
    out_of_memory: str
    fused_adamw: bool


def read() -> Settings:
    """The settings of this process.

    Raises:
        ValueError: a fault that does not exist.
    """
    faults = frozenset(filter(None, _variable("FAULTS", "").split(",")))
    if faults - FAULTS:
        raise ValueError(f"NEURON_STAND_IN_FAULTS: unknown {sorted(faults - FAULTS)}, known: {sorted(FAULTS)}")
    return Settings(
        faults=faults,
        cores=visible_cores(),
        memory_bytes=int(_variable("MEMORY_BYTES", str(24 << 30))),
        op_seconds=float(_variable("OP_SECONDS", "2e-6")),
        bytes_per_second=float(_variable("BYTES_PER_SECOND", "1e12")),
        compile_seconds=float(_variable("COMPILE_SECONDS", "0.05")),
        first_step_seconds=float(_variable("FIRST_STEP_SECONDS", "2")) if "slow-first-step" in faults else 0.0,
        recompile_every=int(_variable("RECOMPILE_EVERY", "3")) if "recompile-every-N-steps" in faults else 0,
        fallback_operators=tuple(_variable("FALLBACK_OPS", "aten::silu,aten::_softmax").split(",")),
        flat_memory_stats=_variable("FLAT_MEMORY_STATS", "0") == "1",
        out_of_memory=_variable("OUT_OF_MEMORY", "torch"),
        fused_adamw=_variable("FUSED_ADAMW", "0") == "1",
    )


def visible_cores() -> int:
    """How many of the machine's cores the runtime's own variables leave to this process."""
    machine = int(_variable("CORES", "4"))
    chosen = os.environ.get("NEURON_RT_VISIBLE_CORES")
    if chosen:
        return len([core for core in _expand(chosen) if core < machine])
    return min(machine, int(os.environ.get("NEURON_RT_NUM_CORES") or machine))


def is_on(variable: str, default: bool) -> bool:
    """A switch of torch_neuronx itself, read when it is needed."""
    return os.environ.get(variable, str(int(default))).lower() in ("1", "true")


def _variable(name: str, default: str) -> str:
    return os.environ.get(f"NEURON_STAND_IN_{name}", default)


def _expand(cores: str) -> set[int]:
    """The numbers in "0,2" or "0-3"."""
    ranges = [part.partition("-") for part in cores.split(",")]
    return {core for first, _, last in ranges for core in range(int(first), int(last or first) + 1)}
