"""Measures what a device reaches in matrix products and copies alone, in a process of its own.

The question comes as a JSON line on standard input, the answer leaves as one on what was standard output.
Heat first: a cold card holds a higher clock than it keeps. Fresh random operands, and more of them than any cache
holds, in turn. Of several sizes the best counts: the question is what can be reached.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from backends.contract import Rates
from backends.registry import load_backend
from bench.worker import claim_standard_output

WINDOWS = 5
WINDOW_SECONDS = 0.25
COPIES_COUNT = 2
"""A byte is read and written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How a kind of device is probed."""

    sizes: tuple[int, ...]
    heat_seconds: float
    beyond_cache_bytes: int


CPU = Effort(sizes=(1024, 2048), heat_seconds=0.5, beyond_cache_bytes=2**28)
"""256 MiB: more than the largest cache of a server's processor that a rented part of it has for itself."""
ACCELERATOR = Effort(sizes=(4096, 8192), heat_seconds=3.0, beyond_cache_bytes=2**30)


def main() -> None:
    """Answer the question on standard input."""
    answer = claim_standard_output()
    asked = json.loads(sys.stdin.readline())
    backend = load_backend(asked["backend"])
    effort = CPU if backend.probe().device_type == "cpu" else ACCELERATOR
    rates: Rates = cast(Any, backend).rates(asked["dtype"])  # it has some, or the parent would not have asked
    print(json.dumps(probe(rates, effort, asked["item_bytes"])), file=answer, flush=True)
    rates.close()


def probe(rates: Rates, effort: Effort, item_bytes: int) -> dict[str, float | str]:
    """Operations a second of the best size, and bytes a second of copies, read and written ones together."""
    products = {}
    for size in effort.sizes:
        variants = max(2, -(-effort.beyond_cache_bytes // (2 * size * size * item_bytes)))
        products[size] = rate(rates.product(size, variants), rates.finish, effort.heat_seconds) * 2 * size**3
    best = max(products, key=products.__getitem__)
    copies = rate(rates.copy(effort.beyond_cache_bytes // 4, 4), rates.finish, effort.heat_seconds)
    return {
        "device_name": rates.device_name,
        "product_flops_per_second": products[best],
        "product_size": best,
        "copy_bytes_per_second": copies * COPIES_COUNT * (effort.beyond_cache_bytes // 4),
    }


def rate(enqueue: Callable[[], None], finish: Callable[[], None], heat_seconds: float) -> float:
    """Calls a second: the median of windows that begin and end with an idle device, after heating it."""
    enqueue()
    finish()
    count, taken = 1, _seconds(enqueue, finish, 1)
    while taken < WINDOW_SECONDS:
        count *= 2
        taken = _seconds(enqueue, finish, count)
    end = time.perf_counter() + heat_seconds
    while time.perf_counter() < end:
        _seconds(enqueue, finish, count)
    return count / statistics.median(_seconds(enqueue, finish, count) for _ in range(WINDOWS))


def _seconds(enqueue: Callable[[], None], finish: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        enqueue()
    finish()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
