"""Help with a name that nothing bears."""

import difflib
from collections.abc import Collection, Iterable


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, letter case aside; None if nothing is close."""
    by_folded = {known.casefold(): known for known in names}
    matches = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[matches[0]] if matches else None


def did_you_mean(name: str, names: Collection[str]) -> str:
    """The hint for an unknown name: those of providers that end so, the closest known one, or how many there are."""
    if owned := sorted(known for known in names if known.endswith(f"/{name}")):
        return f"name the provider too: {', '.join(owned)}"
    meant = closest(name, names)
    return f"did you mean {meant}?" if meant else f"none of the {len(names)} known names is close"
