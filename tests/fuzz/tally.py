"""How often each parser took or refused what the fuzz tests gave it: a test that only ever refuses shows nothing."""

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from bench.errors import one_line

fuzz_tally: dict[str, Counter[str]] = {}
"""Parser -> how many inputs were "accepted" and "refused", in this process."""

Found = TypeVar("Found")


def taken(parser: str, read: Callable[[], Found], refusal: type[Exception], names: str = "") -> Found | None:
    """What ``read`` returns, or None if it refuses as it should; whatever else it raises fails the test.

    A refusal must say something, name ``names`` (the file, as a rule) and give a hint.
    """
    tally = fuzz_tally.setdefault(parser, Counter(accepted=0, refused=0))
    try:
        found = read()
    except refusal as error:
        tally["refused"] += 1
        message, hint = error.message, error.hint  # type: ignore[attr-defined]
        assert names in message
        assert len(one_line(message)) > len(names) + 3, "says more than the name of the file"
        assert one_line(hint)
        return None
    tally["accepted"] += 1
    return found


def table() -> list[str]:
    """The tally as lines of text."""
    width = max(map(len, fuzz_tally), default=0)
    return [
        f"{parser:{width}}  accepted {tally['accepted']:7,}  refused {tally['refused']:7,}"
        for parser, tally in sorted(fuzz_tally.items())
    ]
