"""The tally of the fuzz tests, given to whoever asks and printed at the end."""

from collections import Counter

import pytest
from fuzz import tally


@pytest.fixture(scope="session")
def fuzz_tally() -> dict[str, Counter[str]]:
    """Parser -> Counter of "accepted" and "refused", filled as the tests run."""
    return tally.fuzz_tally


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the parsers made of it all."""
    if tally.fuzz_tally:
        terminalreporter.section("fuzz tally")
        for line in tally.table():
            terminalreporter.write_line(line)
