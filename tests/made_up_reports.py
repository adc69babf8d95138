"""Reports of made-up records for the tests of the page: chips of two makers, one machine, hostile text."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from made_up_cases import case

from results.compare import Section
from results.costs import PriceChoice
from results.page.writing import page
from results.record import RunRecord
from results.report import make_sections

CHOICE = PriceChoice(as_of=date(2026, 11, 22))
OWN_PRICE = PriceChoice(as_of=date(2026, 11, 22), usd_per_hour=0.1)
STEERING = "\u202ereversed\u2066 \x1b[31mred\x07 \u2028next\u2029"
PAYLOADS = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "</style><img src=x onerror=window.pwned=1>",
    "\"><svg onload=window.pwned=1>",
    "' onmouseover='window.pwned=1' x='",
    "javascript:window.pwned=1",
    "<!--<script>",
    "]]></svg><iframe src=https://example.org/>",
    "{{ 7*7 }}{% raw %}${window.pwned=1}",
    STEERING,
)  # fmt: skip
HOSTILE = " ".join(PAYLOADS)


def chip_case(backend: str, speed: float, instance: str, **replace: Any) -> list[RunRecord]:
    """Five runs of eight devices on a named machine of its own."""
    session = {"device_type": "cuda", "device_name": "NVIDIA H100 80GB HBM3", "fallback": None}
    probed = {"operand_fraction_bits": 23, "accumulation_exact": True}
    found = {
        "environment__instance": {"provider": "aws", "name": instance, "source": "test"},
        "host_id": instance.encode().hex().ljust(32, "0")[:32],
        "case__device_type": "cuda",
        "case__world_size": 8,
        "measurement__session": session | probed,
    }
    return case(backend, speed, **(found | replace))


def two_chips() -> list[RunRecord]:
    """Two machines of the price book: it has on-demand prices of one, capacity blocks of both."""
    return [*chip_case("torch-cuda", 52_000.0, "p5.48xlarge"), *chip_case("other", 46_000.0, "trn2.48xlarge")]


def every_state() -> list[RunRecord]:
    """Ranked, tuned, failed, without a rank, simulated."""
    failed = case("broken", 900.0, 3, status="failed", reason="the compiler ended with 70", measurement=None)
    wrong = case("wrong", 900.0, 3, losses=[5.5 * 0.97**step for step in range(49)])
    tuned = chip_case("other", 61_000.0, "trn2.48xlarge", case__recipe={"name": "best", "track": "tuned"})
    return [*two_chips(), *tuned, *failed, *wrong, *case("dreamt", 900.0, 3, provenance="simulated")]


def one_machine(runs: int = 5) -> list[RunRecord]:
    """Two backends that took turns."""
    return [*case("torch-cpu", 1000.0, runs), *case("jax-cpu", 900.0, runs)]


def hostile() -> list[RunRecord]:
    """Payloads in every free text of a record."""
    instance = {"provider": HOSTILE, "name": HOSTILE, "source": HOSTILE, "region": HOSTILE}
    texts = {
        "case__workload": HOSTILE,
        "case__recipe": {"name": HOSTILE, HOSTILE: HOSTILE},
        "environment__cpu_model": HOSTILE,
        "environment__packages": {HOSTILE: HOSTILE},
        "environment__variables": {"X": HOSTILE},
        "environment__accelerator_driver": HOSTILE,
        "measurement__memory": {"peak_bytes": 10**9, "source": HOSTILE},
    }
    ours = case(f"a{HOSTILE}", 1000.0, environment__instance=instance, **texts)
    theirs = case(f"b{HOSTILE}", 900.0, environment__instance=instance, **texts)
    failed = case("c", 900.0, 1, status="failed", reason=HOSTILE, measurement=None, case__workload=HOSTILE)
    return [*ours, *theirs, *failed]


def sections_of(records: Sequence[RunRecord], choice: PriceChoice = CHOICE) -> list[Section]:
    return make_sections({"": records}, choice)


def page_of(records: Sequence[RunRecord], choice: PriceChoice = CHOICE) -> str:
    return page(sections_of(records, choice), choice)
