"""Inputs that are nearly right: a valid one with a few parts changed finds more than noise does."""

import copy
import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

Test = TypeVar("Test", bound=Callable[..., None])

EXAMPLES = int(os.environ.get("FAIRCHIP_FUZZ", "0"))
"""Examples a test, drawn anew each time; 0: each test's own number, the same ones each time."""

HOSTILE_TEXT = (
    "", " ", "\x1b[31mred\x1b[0m", "\u202eright to left", "two\nlines", "a\x00b", "\u2028", "\ufeff", "\U000e0001",
    "|cell|", "<script>alert(1)</script>", "[x](http://example.org)", "![x](y)", "](z)", "[a]: b", "`code`", "\\|",
    "&lt;", "[bold]x[/bold]", ":smile:", "x" * 101, "nan", "../../etc/passwd", "=1+1", "\U0001f600", "\u0301" * 20,
)  # fmt: skip
EXTREMES = (
    0, 1, -1, 2, 3, 7, 64, 255, 256, 2**24, 2**24 + 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**400,
    0.0, -0.0, 0.5, 1.5, -1.0, 5e-324, 1e-9, 1e11, 1e30, 1.7976931348623157e308,
    float("nan"), float("inf"), -float("inf"), True, False, None, [], {},
)  # fmt: skip

texts = st.sampled_from(HOSTILE_TEXT) | st.text(max_size=20)
scalars = st.sampled_from(EXTREMES) | texts | st.integers() | st.floats()
values = st.sampled_from(EXTREMES) | st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)

_FEW = st.sampled_from([1, 1, 1, 1, 2, 2, 3, 4])


def mostly(good: st.SearchStrategy[Any], bad: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Nine times in ten something good."""
    return st.sampled_from([good] * 9 + [bad]).flatmap(lambda chosen: chosen)


def fuzzed(examples: int) -> Callable[[Test], Test]:
    """Decorates a test with @given; ``examples`` is its number where the environment asks for none."""
    chosen = settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: pytest.mark.timeout(0 if EXAMPLES else 300)(chosen(test))


@st.composite
def mutated_table(draw: st.DrawFn, base: dict[str, Any], replacements: st.SearchStrategy[Any] = values) -> Any:
    """A copy of nested plain data with a few parts replaced, dropped or added."""
    table = copy.deepcopy(base)
    for _ in range(draw(_FEW)):
        owner, key = draw(st.sampled_from(_places(table)))
        action = draw(st.sampled_from(["near", "near", "near", "replace", "replace", "drop", "add"]))
        if action == "near":
            owner[key] = draw(_near(owner[key]))
        elif action == "drop":
            del owner[key]
        elif action == "replace" or isinstance(owner, list):
            owner[key] = draw(replacements)
        else:
            owner[draw(texts)] = draw(replacements)
        if not table:
            break
    return table


def _near(value: Any) -> st.SearchStrategy[Any]:
    """Values of the same type and about the same size: most of these are valid."""
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int):
        return st.sampled_from([0, 1, 2, 4, value * 2, value // 2, value + 1, -value])
    if isinstance(value, float):
        return st.floats(0, 2).map(lambda factor: factor * value)
    return st.sampled_from([value, *HOSTILE_TEXT]) if isinstance(value, str) else st.just(value)


def _places(table: Any) -> list[tuple[Any, Any]]:
    """Every (owner, key) in nested data."""
    items = list(table.items()) if isinstance(table, dict) else list(enumerate(table))
    found = [(table, key) for key, _ in items]
    for _, value in items:
        if isinstance(value, dict | list):
            found += _places(value)
    return found


@st.composite
def mutated_bytes(draw: st.DrawFn, base: bytes, tokens: tuple[bytes, ...]) -> bytes:
    """The bytes with a few stretches cut out, doubled, or replaced by noise or by words of the format."""
    content = base
    for _ in range(draw(_FEW)):
        start = draw(st.integers(0, len(content)))
        stop = min(len(content), start + draw(st.sampled_from([0, 1, 2, 5, 20, 10**9])))
        middle = draw(st.sampled_from(tokens) | st.binary(max_size=8) | st.sampled_from([b"", content[start:stop] * 2]))
        content = content[:start] + middle + content[stop:]
    return content


def as_toml(table: dict[str, Any]) -> str:
    """Nested plain data as TOML; what TOML cannot say (None) comes out broken, which is an input too."""
    return "\n".join(f"{json.dumps(key, ensure_ascii=False)} = {_toml(value)}" for key, value in table.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key, ensure_ascii=False)} = {_toml(inner)}" for key, inner in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
