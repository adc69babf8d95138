"""One side alone is held against what ships; what ships is whole and ranked."""

from pathlib import Path

import pytest
from made_up_cases import TODAY, case

from results.errors import ComparisonError
from results.published import published_like, published_records
from results.render import markdown
from results.report import make_sections
from results.store import save


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    for record in case("jax-cpu", 900.0, host_id="9" * 32, suite_id="8" * 32):
        save(record, tmp_path / "a-machine")
    return tmp_path


def test_one_side_is_held_against_the_published_ones_of_its_work(shipped: Path) -> None:
    own = case("torch-cpu", 1000.0)
    sides = {"published": published_like(own, shipped), "mine": own}
    page = markdown(make_sections(sides, TODAY))
    assert "mine: torch-cpu against published: jax-cpu" in page
    assert "times [" in page


def test_work_that_nobody_published_has_a_hint(shipped: Path) -> None:
    other = case("torch-cpu", 1000.0, case__specification={"model": {"dim": 65}, "precision": "fp32"})
    with pytest.raises(ComparisonError, match="no published record is of this work") as raised:
        published_like(other, shipped)
    assert "published are: smoke" in raised.value.hint
    with pytest.raises(ComparisonError) as raised:
        published_like(other, shipped / "none")
    assert "none at all" in raised.value.hint


def test_a_run_is_not_held_against_itself(shipped: Path) -> None:
    with pytest.raises(ComparisonError):
        published_like(published_records(shipped), shipped)


def test_what_ships_is_measured_and_ranked() -> None:
    from results.gates import is_ranked

    timed = [record for record in published_records() if record.place.role == "timed"]
    assert all(is_ranked(record) or record.reference is None for record in timed)
    assert all(record.environment.source_modified is False for record in timed)
