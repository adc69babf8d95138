"""Everything that waits for a GPU, in one call: `python -m bench.on_gpu`, or `make gpu`.

What is there, the tests that need a GPU, what the card reaches alone, and both backends against each other at the two
sizes that the CUDA side is judged at. One step that fails keeps none of the others from running. Nothing is
installed: it runs in whatever Python environment calls it.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

BACKENDS = ("torch-cuda", "jax-cuda")
SIZES = ("llama-3.2-1b-2k-b16", "llama-124m-1k")
MINUTES = 4
"""Budget of each comparison: three rounds of both backends, with warm caches, on one H100."""


def steps() -> dict[str, list[str]]:
    """Commands by what they show."""
    fairchip = [sys.executable, "-P", "-m", "bench"]
    compared = ["--runs", "3", "--windows", "4", "--cold-starts", "1", "--budget-minutes", str(MINUTES)]
    return {
        "what is here": [*fairchip, "doctor"],
        "tests that need a GPU": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/cuda"],
        "products and copies alone": [*fairchip, "probe", "--backend", BACKENDS[0], "--backend", BACKENDS[1]],
        **{
            f"both backends, {size}": [*fairchip, "run", "--workload", size, "--backend", *BACKENDS, *compared]
            for size in SIZES
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
