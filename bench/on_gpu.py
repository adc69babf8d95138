"""Everything that waits for a GPU, in one call: `python -m bench.on_gpu`, or `make gpu`.

What is there, the tests that need a GPU, what the card reaches alone, where a step's time goes, both backends and every
other trainer that is installed against each other at the two sizes that the CUDA side is judged at, and a search for
better recipes. One step that fails keeps none of the others from running. Nothing is installed: it runs in whatever
Python environment calls it.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

BACKENDS = ("torch-cuda", "jax-cuda")
SIZES = ("llama-3.2-1b-2k-b16", "llama-124m-1k")
MINUTES = 8
"""Budget of each comparison, and of the search."""


def steps() -> dict[str, list[str]]:
    """Commands by what they show."""
    fairchip = [sys.executable, "-P", "-m", "bench"]
    peers = [sys.executable, "-P", "-m", "bench.peers", "--device", "cuda", "--same-environment"]
    profile = [sys.executable, "-P", "-m", "bench.step_profile"]
    return {
        "what is here": [*fairchip, "doctor"],
        "tests that need a GPU": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/cuda"],
        "products and copies alone": [*fairchip, "probe", "--backend", BACKENDS[0], "--backend", BACKENDS[1]],
        **{f"where a step's time goes, {name}": [*profile, SIZES[1], name] for name in BACKENDS},
        **{
            f"ours and others, {size}": [*peers, "--workload", size, "--budget-minutes", str(MINUTES)] for size in SIZES
        },
        **{
            f"tuning, {name}": [*fairchip, "tune", SIZES[0], name, "--search-minutes", str(MINUTES), "--runs", "3"]
            for name in BACKENDS
        },
    }


def main(only: Sequence[str]) -> int:
    """Run each step, or those whose names begin with an argument; the exit code is that of the worst."""
    codes: dict[str, int] = {}
    for name, command in steps().items():
        if only and not name.startswith(tuple(only)):
            continue
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        codes[name] = subprocess.run(command, check=False).returncode
        print(f"== {name}: exit {codes[name]} after {time.monotonic() - began:.0f} s", flush=True)
    print("\n".join(["", *(f"{name:<40} {'ok' if code == 0 else f'exit {code}'}" for name, code in codes.items())]))
    return max(codes.values(), default=0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
