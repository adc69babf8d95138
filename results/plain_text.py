"""Text of a record as it may be shown: what a file says must not steer a terminal or a page.

Records keep text exactly; it is made plain where it is printed.
"""

import textwrap


def plain(text: str) -> str:
    """The text in one line of printable characters.

    Blanks and line ends of every kind become one space. Control and format characters (escape sequences,
    reversals of direction), private and unassigned ones become U+FFFD.
    """
    shown = "".join(char if char.isprintable() or char.isspace() else "\ufffd" for char in text)
    return " ".join(shown.split())


def shortened(text: str, columns: int) -> str:
    """At most so many columns of a text, cut between words and marked."""
    return textwrap.shorten(text, columns, placeholder=" ...")
