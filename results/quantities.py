"""Large numbers as people write and read them: 15T tokens, 38B dollars."""

import re

from results.errors import PriceError

_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


def parse_quantity(text: str, what: str) -> float:
    """15e12 from "15T"; K, M, B and T are thousands, millions, billions (1e9) and trillions (1e12).

    Raises:
        PriceError: not a positive number with at most one of these letters.
    """
    found = re.fullmatch(r"([0-9][0-9_,]*\.?[0-9]*(?:e[0-9]{1,3})?)\s*([KMBT]?)", text.strip(), re.IGNORECASE)
    value = float(re.sub("[_,]", "", found[1])) * _UNITS[found[2].upper()] if found else 0.0
    if not 0 < value < 1e30:
        raise PriceError(f"{what} {text!r} is no positive number", "write 15T, 2.5B or 3e12")
    return value


def short(value: float) -> str:
    """15T, 3.184M, 18,360T: four significant digits, and the largest letter that leaves one before the point."""
    letter, unit = next(((letter, unit) for letter, unit in reversed(_UNITS.items()) if value >= unit), ("", 1.0))
    number = value / unit
    return f"{number:,.0f}{letter}" if number >= 1000 else f"{number:.4g}{letter}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3.5 h``, ``12 days``."""
    for unit, name, digits in ((86400 * 2, "days", 0), (5400, "h", 1), (90, "min", 0)):
        if seconds >= unit:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[name]:.{digits}f} {name}"
    return f"{seconds:.0f} s"
