"""One collection of outcomes for the session, written into docs/reliability.md where that is asked for."""

import os
from collections.abc import Iterator

import pytest
from fuzz.tally import fuzz_tally
from reliability.report import Outcomes, table, write_page


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest) -> Iterator[Outcomes]:
    collected = Outcomes()
    yield collected
    if "FAIRCHIP_RELIABILITY_PAGE" in os.environ and not request.session.testsfailed:
        write_page(collected.tables() | {"fuzz": _fuzz_table()})


def _fuzz_table() -> str:
    rows = [
        (parser, f"{counts.total():,}", f"{counts['accepted']:,}", f"{counts['refused']:,}")
        for parser, counts in sorted(fuzz_tally.items())
    ]
    return table(("parser", "inputs", "accepted and used", "refused"), rows)
