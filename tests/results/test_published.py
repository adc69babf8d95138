"""One side alone is held against what ships; what ships is whole and ranked, and its page is in step with it."""

import shutil
from pathlib import Path

import pytest
import typer
from made_up_cases import TODAY, case

from results.errors import ComparisonError, RecordError
from results.published import published_like, published_records
from results.publishing import MARKDOWN, PAGE, main, out_of_step, write_published
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


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two kinds of machine that did the same work, and one of them other work too, with their page."""
    folder = tmp_path_factory.mktemp("published")
    epyc = case("torch-cpu", 1000.0) + case("jax-cpu", 900.0)
    xeon = case("torch-cpu", 1100.0, host_id="9" * 32, suite_id="8" * 32, created_at="2026-11-20T23:59:59.000+00:00")
    other = case("torch-cpu", 50.0, case__specification={"model": {"dim": 65}, "precision": "fp32"})
    for kind, records in {"cpu-epyc": epyc, "cpu-xeon": xeon, "cpu-epyc/wide": other}.items():
        for record in records:
            save(record, folder / kind)
    write_published(folder)
    return folder


@pytest.fixture
def shelf(made: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(made, tmp_path / "shelf"))


def test_the_page_that_ships_is_in_step_with_its_records() -> None:
    assert out_of_step() == [], "records, prices or the page's sources changed: make published"


def test_the_page_tells_of_every_machine_and_of_its_day(made: Path) -> None:
    page, text = ((made / name).read_text(encoding="utf-8") for name in (PAGE, MARKDOWN))
    newest = max(record.created_at for record in published_records(made))
    assert f"Prices as of {newest[:10]}" in page
    assert f"Prices are of {newest[:10]}, the" in text
    for said in ("cpu-xeon: torch-cpu", "cpu-epyc: jax-cpu"):
        assert said in page
        assert said in text
    assert page.count("<section ") == 3, "two works, and what others have published"
    assert text.count("| cpu-epyc/") == 15
    assert "cpu-xeon/timed-0000-00-smoke-torch-cpu.json" in text


def test_the_same_records_make_the_same_bytes(made: Path, shelf: Path) -> None:
    write_published(shelf)
    assert [(shelf / name).read_bytes() == (made / name).read_bytes() for name in (PAGE, MARKDOWN)] == [True, True]


def test_a_page_without_its_records_is_out_of_step(shelf: Path) -> None:
    assert out_of_step(shelf) == []
    record = next(shelf.rglob("*.json"))
    content = record.read_text()
    record.write_text(content + "\n")
    assert out_of_step(shelf) == [PAGE, MARKDOWN]
    record.write_text(content)
    assert out_of_step(shelf) == []
    record.unlink()
    assert out_of_step(shelf) == [PAGE, MARKDOWN]


def test_a_changed_or_missing_page_is_out_of_step(shelf: Path) -> None:
    (shelf / MARKDOWN).write_text((shelf / MARKDOWN).read_text() + "Better than all others.\n")
    assert out_of_step(shelf) == [MARKDOWN]
    (shelf / PAGE).unlink()
    assert out_of_step(shelf) == [PAGE, MARKDOWN]


def test_prices_and_sources_of_the_page_are_in_step_too(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("results.publishing.load_anchors", list)
    assert out_of_step(shelf) == [PAGE]


def test_without_records_there_is_nothing_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert out_of_step(tmp_path) == []
    with pytest.raises(typer.Exit):
        main(tmp_path)
    assert "holds no records\n  hint: copy a folder of records there" in capsys.readouterr().err
    save(case("torch-cpu", 1.0)[0], tmp_path)
    with pytest.raises(RecordError, match="lies in no folder of its kind of machine"):
        write_published(tmp_path)
