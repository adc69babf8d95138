"""Limits that keep the code small; the arrows themselves are import-linter's, in `make lint`."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for room in ("bench", "workloads", "backends", "results") for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_stay_short_and_documented(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(tree), "every module says what it is"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name


def test_no_module_is_named_like_a_dependency_or_the_standard_library() -> None:
    import sys

    taken = set(sys.stdlib_module_names) | {"torch", "jax", "numpy", "pandas", "scipy", "pydantic", "rich", "typer"}
    assert not [path for path in SOURCES if path.stem in taken]
