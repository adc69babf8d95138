"""`fairchip probe`, and the probe before a suite: what is found, a line each."""

from collections.abc import Sequence

from bench.achievable import available_backends, probe_missing, probes
from bench.entry import say
from bench.environment import read_environment
from bench.plan import Case
from results.record import Achievable
from workloads.precision import POLICIES
from workloads.spec import Precision


def print_probes(backends: Sequence[str] | None, policy: Precision | None) -> int:
    """Measure and print; the exit code is 3 if nothing answered."""
    policies: Sequence[Precision] = [policy] if policy else ["fp32", "bf16-mixed"]
    dtypes = [POLICIES[name].operands for name in policies]
    answered = False
    for name, found in probes(available_backends(backends), dtypes, read_environment()):
        answered |= isinstance(found, Achievable)
        print(told(name, found), flush=True)
    return 0 if answered else 3


def probe_first(cases: Sequence[Case]) -> None:
    """Before a suite: what its devices reach alone, unless that is known since the last boot. Ends no suite."""
    for name, found in probe_missing(cases, read_environment()):
        say(f"probe: {told(name, found)}")


def told(name: str, found: Achievable | str) -> str:
    """One line."""
    if isinstance(found, str):
        return f"{name}: no rate: {found}"
    size = found.product_size
    return (
        f"{name}: products {found.product_flops_per_second / 1e12:,.3g} TFLOP/s ({size} x {size}), "
        f"copies {found.copy_bytes_per_second / 1e9:,.1f} GB/s, on {found.device_name}"
    )
