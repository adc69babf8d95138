"""Text that is shown is one line of printable characters."""

import pytest

from results.plain_text import plain, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("as it is: Größe 模型 😀", "as it is: Größe 模型 😀"),
        ("  two \t\n lines\r\n", "two lines"),
        ("\x1b[2J\x07", "\ufffd[2J\ufffd"),
        ("\u202eright to left\u2066", "\ufffdright to left\ufffd"),
        ("a\u2028b\u2029c\x85d\xa0e", "a b c d e"),
        ("\ud800\ue000\u0378\ufeff\U000e0041", "\ufffd" * 5),
        ("", ""),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_long_text_is_cut_between_words() -> None:
    assert shortened("asked of the list of prices", 20) == "asked of the ..."
    assert shortened("asked", 20) == "asked"
