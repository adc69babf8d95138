"""The threats of docs/method.md: thirty-two rows whose tests exist, and those that no other test is about."""

import ast
import re
from pathlib import Path

import pytest
from builders import make_record
from made_up_cases import case, sections

from results.summary import case_key

TESTS = Path(__file__).parents[1]
METHOD = TESTS.parent / "docs" / "method.md"


def rows() -> dict[str, list[str]]:
    """Threat -> the tests that its row names."""
    lines = re.findall(r"^\| (T\d+) \|(.*)\|$", METHOD.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: re.findall(r"`([\w/]+\.py::\w+)`", rest) for name, rest in lines}


def test_every_threat_has_a_row_and_every_row_its_tests() -> None:
    assert list(rows()) == [f"T{number}" for number in range(1, 33)]
    assert all(rows().values())


@pytest.mark.parametrize("named", sorted({test for tests in rows().values() for test in tests}))
def test_the_tests_that_are_named_exist(named: str) -> None:
    path, _, name = named.partition("::")
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize(
    "change",
    [
        {"environment__packages_sha256": "0" * 64},
        {"environment__python": "3.12"},
        {"environment__source_sha256": "0" * 64},
        {"environment__variables": {"OMP_NUM_THREADS": "1"}},
        {"environment__cpu_model": "another"},
        {"case__recipe": {"name": "as-is", "threads": 1}},
    ],
)
def test_other_packages_are_another_case(change: dict) -> None:
    """Nor are other recipes, variables or machines averaged with these."""
    assert case_key(make_record(**change)) != case_key(make_record())
    (section,) = sections(case("torch-cpu", 1000.0), case("torch-cpu", 1100.0, suite_id="8" * 32, **change))
    assert len(section.cases) == 2


def test_another_number_of_devices_is_another_case() -> None:
    (section,) = sections(case("a", 1000.0), case("a", 15000.0, suite_id="8" * 32, case__world_size=16))
    assert len(section.cases) == 2
    assert [one.summary.first.case.world_size for one in section.cases] == [1, 16]
