"""What else two cases differ in is said under their comparison; what does not fit together is doubted."""

import pytest
from made_up_cases import TODAY, case, sections

from results.render import markdown
from results.report import make_sections

ELSEWHERE = {"suite_id": "8" * 32, "host_id": "9" * 32}


def said(**changes: object) -> str:
    """The report on two machines, the second one with these changes."""
    sides = {"old": case("torch-cpu", 1000.0), "new": case("torch-cpu", 1100.0, **ELSEWHERE, **changes)}
    return markdown(make_sections(sides, TODAY))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"environment__packages": {"torch": "2.14.0"}}, "differ in software: torch 2.13.0 -&gt; 2.14.0"),
        ({"environment__packages_sha256": "0" * 64}, "differ in software: other installed packages"),
        ({"environment__python": "3.12"}, "differ in software: Python 3.11 -&gt; 3.12"),
        ({"environment__accelerator_driver": "nvidia 590.1"}, "differ in software: driver None -&gt; nvidia 590.1"),
        ({"environment__source_sha256": "0" * 64}, "differ in software: fairchip itself"),
        ({"environment__variables": {"OMP_NUM_THREADS": "1"}}, "differ in variables: OMP_NUM_THREADS"),
        ({"case__recipe": {"name": "as-is", "compile": "off"}}, "unmatched effort: "),
        ({"case__recipe": {"name": "fast", "track": "tuned"}}, "differ in track (None -&gt; tuned)"),
        ({"case__recipe": {"name": "mine", "attention": "flash"}}, "differ in attention (None -&gt; flash)"),
    ],
)
def test_a_difference_is_said(changes: dict, line: str) -> None:
    assert line in said(**changes)
    assert line not in said()


def test_a_package_that_only_one_side_has_is_no_change_of_version() -> None:
    assert "differ in software" not in said(environment__packages={"torch": "2.13.0", "jax": "0.10.2"})


def test_recipes_of_two_engines_differ_in_effort_only() -> None:
    """Torch and jax name their attention differently; whether they were compiled is the same question for both."""
    whole = case("torch-cpu", 1000.0, case__recipe={"name": "as-is", "compile": "whole", "attention": "sdpa"})
    same = case("jax-cpu", 900.0, case__recipe={"name": "as-is", "compile": "whole", "attention": "product"})
    eager = case("jax-cpu", 900.0, case__recipe={"name": "as-is", "compile": "off", "attention": "product"})
    assert "unmatched effort" not in markdown(sections(whole, same))
    assert "differ in compile (whole -&gt; off)" in markdown(sections(whole, eager))


def test_a_tuned_side_gets_no_verdict_over_an_untuned_one_of_another_backend() -> None:
    tuned = {"name": "best", "track": "tuned"}
    ours, theirs = case("torch-cpu", 1000.0), case("jax-cpu", 1200.0, case__recipe=tuned)
    (refused,) = sections(ours, theirs)[0].comparisons
    assert (refused.verdict, refused.cost_ratio) == ("none", None)
    assert "jax-cpu (best) was tuned and torch-cpu was not" in refused.sentence
    (fair,) = sections(case("torch-cpu", 1000.0, case__recipe=tuned), theirs)[0].comparisons
    assert fair.verdict == "better"


def test_what_tuning_brought_a_backend_is_a_verdict() -> None:
    own = sections(case("torch-cpu", 1000.0), case("torch-cpu", 1200.0, case__recipe={"name": "x", "track": "tuned"}))
    assert [comparison.verdict for comparison in own[0].comparisons] == ["better"]


def test_changed_sources_are_doubted() -> None:
    assert "measured with changed sources of fairchip" in markdown(
        sections(case("torch-cpu", 1.0, environment__source_modified=True))
    )
    assert "changed sources" not in markdown(sections(case("torch-cpu", 1.0, environment__source_modified=False)))


def test_a_machine_that_is_not_what_it_is_called_is_doubted() -> None:
    """Metadata can be wrong, and so can --instance: the processors are counted."""
    rented = {"provider": "aws", "name": "c8i.2xlarge", "source": "DMI"}
    small = case("torch-cpu", 1000.0, environment__instance=rented)
    right = case("torch-cpu", 1000.0, environment__instance=rented, environment__logical_cpus=8)
    assert "the machine has 2 processors, a c8i.2xlarge has 8: is it one?" in markdown(sections(small))
    assert "is it one?" not in markdown(sections(right))


def test_what_a_search_took_is_said() -> None:
    evidence = {
        "machine": "AMD EPYC", "day": "2026-11-23", "recipes_tried": 11, "search_minutes": 7.5, "cost_ratio": 0.91,
        "cost_ratio_low": 0.9, "cost_ratio_high": 0.92, "rounds": 5,
    }  # fmt: skip
    (section,) = sections(
        case("torch-cpu", 1000.0),
        case("torch-cpu", 1100.0, case__recipe={"name": "tuned", "track": "tuned", "tuning": evidence}),
    )
    (line,) = [line for line in section.circumstances if "recipes tried" in line]
    assert "torch-cpu (tuned): tuned on AMD EPYC on 2026-11-23: 11 recipes tried in 7.5 minutes" in line
    assert "0.91 times [0.9, 0.92] as-is's in 5 rounds" in line
