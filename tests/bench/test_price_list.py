"""`fairchip prices` shows what the book holds; whatever docs/prices.md shows of a command is what it prints."""

import csv
import io
import json
import re
import shlex
from pathlib import Path

import pytest
from two_machines import lay_out_two_machines

from bench.cli import app
from results.price_book import COLUMNS, load_price_book

PAGE = Path(__file__).parents[2] / "docs" / "prices.md"
DAY = "--as-of=2026-11-22"


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert app(["prices", *arguments], standalone_mode=False) in {0, None}
    return capfd.readouterr().out


def shown_on_the_page() -> list[tuple[str, str]]:
    """Each command of docs/prices.md and what stands below it."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    commands = [command for block in blocks for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command.partition("\n")[0], command.partition("\n")[2]) for command in commands]


@pytest.mark.parametrize(("command", "shown"), shown_on_the_page(), ids=lambda text: text.partition("\n")[0][:60])
def test_the_page_shows_what_is_printed(
    command: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (own,) = re.findall(r"```csv\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "mine.csv").write_text(own, encoding="utf-8")
    lay_out_two_machines(tmp_path)
    program, *arguments = shlex.split(command)
    assert program == "fairchip"
    assert app(arguments, standalone_mode=False) in {0, None}
    printed = "".join(f"{line.rstrip()}\n" for line in capfd.readouterr().out.splitlines())
    whole, *parts = shown.split("...\n")
    assert whole == ("" if parts else printed)
    for part in filter(None, parts):
        _, found, printed = printed.partition(part)
        assert found == part


def test_the_page_shows_several_commands() -> None:
    assert len(shown_on_the_page()) >= 6


@pytest.mark.parametrize("more", [["--history"], ["--apart"], []], ids=" ".join)
def test_every_line_fits_a_hundred_columns(more: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert max(map(len, said(capfd, DAY, *more).splitlines())) <= 100


@pytest.mark.parametrize("model", ["on-demand", "capacity-block", "spot"])
def test_every_explanation_fits_a_hundred_columns(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    for instance in ("p5.48xlarge", "trn2.48xlarge", "Standard_NC144ds_xl_RTXPRO6000BSE_v6", "tpu-v5e-1chip"):
        told = said(capfd, instance, "--explain", "--model", model, DAY)
        assert max(map(len, told.splitlines())) <= 100
        assert told.startswith(f"{instance}, {model}, on 2026-11-22: ")


def test_the_csv_is_a_book(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "book.csv"
    path.write_text(said(capfd, "--history", "--format", "csv", DAY), encoding="utf-8")
    assert set(load_price_book(path)) == set(load_price_book())


def test_what_is_missing_is_null_and_never_0(capfd: pytest.CaptureFixture[str]) -> None:
    (row,) = json.loads(said(capfd, "trn2.48xlarge", "--model", "on-demand", "--format", "json", DAY))
    assert tuple(row) == COLUMNS
    assert row["usd_per_hour"] is None
    assert row["note"]
    for listed in csv.DictReader(io.StringIO(said(capfd, "--history", "--format", "csv", DAY))):
        assert listed["usd_per_hour"] != "0"
        assert listed["usd_per_hour"] or listed["note"]


def test_only_the_last_of_each_place_unless_history_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    asked = ("p5.48xlarge", "--model", "on-demand", DAY)
    assert "98.32" not in said(capfd, *asked)
    assert said(capfd, *asked, "--history").count("98.32") == 4
    assert "98.32" in said(capfd, *asked[:-1], "--as-of=2025-04-30")


def test_the_readers_own_rows_are_marked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(
        f"{','.join(COLUMNS)}\naws,trn2.48xlarge,us-east-2,spot,paid,12.5,2026-11-01,my invoice,\n", encoding="utf-8"
    )
    asked = ("trn2.48xlarge", "--model", "spot", "--prices", str(path), DAY)
    assert [line for line in said(capfd, *asked).splitlines() if line.endswith("yours")] == [
        "  spot            us-east-2     12.5  paid   2026-11-01  yours"
    ]
    path.write_text(path.read_text().replace("2026-11-01", "2026-08-01"))
    marked = [line for line in said(capfd, *asked).splitlines() if line.endswith("yours")]
    assert len(marked) == 1, "a newer row of the book does not hide the reader's"
    assert "in your own file" in said(capfd, *asked, "--explain")


def test_an_explanation_without_a_model_is_of_each(capfd: pytest.CaptureFixture[str]) -> None:
    told = said(capfd, "trn1.32xlarge", "--explain", DAY)
    headings = [line.split(", ")[1] for line in told.splitlines() if not line.startswith(" ")]
    assert headings == ["on-demand", "spot", "capacity-block", "savings-plan-1yr", "savings-plan-3yr"]
