"""Cases of made-up records and their comparison, for the tests of what is concluded and of what is shown."""

import math
from collections.abc import Sequence
from datetime import date

from builders import make_record

from results.compare import Section
from results.costs import PriceChoice
from results.record import RunRecord
from results.report import make_sections

TODAY = PriceChoice(as_of=date(2026, 11, 22))
NOISE = [0.01, -0.01, 0.0, 0.005, -0.005]


def case(
    backend: str, speed: float, runs: int = 5, noise: Sequence[float] = NOISE, **replace: object
) -> list[RunRecord]:
    return [
        make_record(backend=backend, tokens_per_second=speed * math.exp(noise[i % len(noise)]), round_=i, **replace)
        for i in range(runs)
    ]


def sections(*cases: list[RunRecord], choice: PriceChoice = TODAY) -> list[Section]:
    return make_sections({"": [record for records in cases for record in records]}, choice)
