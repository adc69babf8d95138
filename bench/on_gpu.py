"""Everything that waits for a GPU, in one call: `python -m bench.on_gpu`, or `make gpu`.

What is there, the tests that need a GPU, what the card reaches alone, where a step's time goes, each backend against
other trainers on its framework at the two sizes that the CUDA side is judged at (first two live sessions in turns,
which takes minutes, then all that are installed, through every gate), and a search for better recipes. One step that
fails keeps none of the others from running, and some can be named: `python -m bench.on_gpu "in turns, llama-124m"`.
Nothing is installed: it runs in whatever Python environment calls it.
"""

import subprocess
import sys
import time
from collections.abc import Sequence

from bench.entry import refuse

PEERS = {"torch-cuda": ("transformers-cuda", "torchtitan-cuda", "one-file-cuda"), "jax-cuda": ("flax-nnx-cuda",)}
BACKENDS = tuple(PEERS)
SIZES = ("llama-3.2-1b-2k-b16", "llama-124m-1k")
ROUNDS = 20
"""Of two sessions in turns."""
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
            f"in turns, {size}, {peer}": _turns(size, name, peer)
            for size in SIZES
            for name in BACKENDS
            for peer in PEERS[name]
        },
        **{
            f"ours and others, {size}": [*peers, "--workload", size, "--budget-minutes", str(MINUTES)] for size in SIZES
        },
        **{
            f"tuning, {name}": [*fairchip, "tune", SIZES[0], name, "--search-minutes", str(MINUTES), "--runs", "3"]
            for name in BACKENDS
        },
    }


def _turns(size: str, name: str, peer: str) -> list[str]:
    """Both sessions hold their memory at once, so jax may not take the whole card's before it needs it."""
    shared = ",environment.XLA_PYTHON_CLIENT_PREALLOCATE=false" if name.startswith("jax") else ""
    cases = [f"{one}{shared}" for one in (name, peer)]
    return [sys.executable, "-P", "-m", "bench.turns", size, *cases, "--rounds", str(ROUNDS)]


def main(only: Sequence[str]) -> int:
    """Run each step, or those whose names begin with an argument; the exit code is that of the worst."""
    chosen = {name: command for name, command in steps().items() if not only or name.startswith(tuple(only))}
    if not chosen:
        return refuse(f"no step begins with {' or '.join(only)}", f"there are: {'; '.join(steps())}")
    codes: dict[str, int] = {}
    for name, command in chosen.items():
        print(f"\n== {name}", flush=True)
        began = time.monotonic()
        codes[name] = subprocess.run(command, check=False).returncode
        print(f"== {name}: exit {codes[name]} after {time.monotonic() - began:.0f} s", flush=True)
    width = max(map(len, codes))
    ends = {name: "ok" if code == 0 else f"exit {code}" for name, code in codes.items()}
    print("\n".join(["", *(f"{name:<{width}} {end}" for name, end in ends.items())]))
    return max(map(abs, codes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
