"""The page of the records that ship, and that the two are in step: `make published` writes it.

Prices are those of the day of the newest record, so the same records and price book make the same page on any day.
Drawings depend on the version of the library that draws; so a page says of what it was made, by a digest, and a test
asks for that and for the Markdown, word for word.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from results.anchors import load_anchors
from results.compare import Section
from results.costs import PriceChoice
from results.errors import RecordError, ResultsError
from results.files import write_atomically
from results.page.writing import page
from results.prices import load_price_book
from results.published import PUBLISHED
from results.record import RunRecord
from results.render import markdown
from results.report import make_sections
from results.store import load_all, record_files

PAGE, MARKDOWN = "index.html", "README.md"
DIGITS = 16
"""Of the digest of the inputs, as the page shows it: 64 bits."""

Sides = Mapping[str, Sequence[RunRecord]]
"""Folder of a kind of machine -> its records."""

ABOUT = """\
# Published records

Every run of {folders}, as its record tells it: {count} records below this folder. Prices are of {day}, the
day of the newest record, so nothing here changes with the calendar. [{page}]({page}) is the same with charts,
controls and all that is behind the numbers: open it from a clone. `make published` writes both, and
`fairchip report FOLDER` asks at other prices.
"""


def write_published(folder: Path = PUBLISHED) -> list[Path]:
    """Page and Markdown of all records below the folder, each replaced whole.

    Raises:
        RecordError: no record, one that lies in no folder of a kind of machine, or a file that is no record.
        ModuleNotFoundError: a library of the page is missing.
        OSError: a file cannot be written.
    """
    texts = {PAGE: _page(folder), MARKDOWN: _markdown(folder)}
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def out_of_step(folder: Path = PUBLISHED) -> list[str]:
    """Names of the files that do not tell of the records which lie there now; draws nothing.

    Raises:
        RecordError: as `write_published`, but that no record and no page are in step.
    """
    written = {name: (folder / name).read_text("utf-8") for name in (PAGE, MARKDOWN) if (folder / name).exists()}
    if not written and not any(folder.rglob("*.json")):
        return []
    ours = {PAGE: inputs_digest(folder) in written.get(PAGE, ""), MARKDOWN: written.get(MARKDOWN) == _markdown(folder)}
    return [name for name, in_step in ours.items() if not in_step]


def inputs_digest(folder: Path) -> str:
    """Of what the page is made from: records, prices that may count, others' results, its own sources."""
    found = hashlib.sha256()
    for part in _inputs(folder):
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()[:DIGITS]


def _inputs(folder: Path) -> Iterator[bytes]:
    sides = _sides(folder)
    for name, content in _files(folder, sides):
        yield name.encode()
        yield content
    anchors, machines = load_anchors(), {record.environment.instance.name for side in sides.values() for record in side}
    machines |= {anchor.instance for anchor in anchors}
    yield repr(anchors).encode()
    yield repr([one for one in load_price_book() if one.instance in machines and one.as_of <= _day(sides)]).encode()
    sources = [one for one in resources.files("results.page").iterdir() if one.is_file()]
    for source in sorted(sources, key=lambda source: source.name):
        yield source.read_bytes()


def _files(folder: Path, sides: Sides) -> Iterator[tuple[str, bytes]]:
    """Names below the folder, and contents."""
    for path in sorted(path for side in sides for path in (folder / side).rglob("*.json")):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def _sides(folder: Path) -> Sides:
    """Raises: as `write_published`."""
    if stray := record_files(folder):
        raise RecordError(f"{stray[0]} lies in no folder of its kind of machine", "move it into one, such as cpu-epyc/")
    kinds = sorted({path.relative_to(folder).parts[0] for path in folder.rglob("*.json")})
    if not kinds:
        raise RecordError(f"{folder}: holds no records", "copy a folder of records there: results/published/MACHINE/")
    return {kind: load_all([folder / kind]) for kind in kinds}


def _day(sides: Sides) -> date:
    return max(date.fromisoformat(record.created_at[:10]) for side in sides.values() for record in side)


def _sections(sides: Sides) -> list[Section]:
    """Work by work: kinds of machine that did the same are held against each other."""
    digests = dict.fromkeys(record.case.digest for side in sides.values() for record in side)
    return [section for digest in digests for section in make_sections(_of(sides, digest), _choice(sides))]


def _of(sides: Sides, digest: str) -> Sides:
    alike = {kind: [record for record in side if record.case.digest == digest] for kind, side in sides.items()}
    return {kind: records for kind, records in alike.items() if records}


def _choice(sides: Sides) -> PriceChoice:
    return PriceChoice(as_of=_day(sides))


def _page(folder: Path) -> str:
    sides = _sides(folder)
    about = f"Records that ship with fairchip, at the prices of the newest one's day. Inputs: {inputs_digest(folder)}."
    return page(_sections(sides), _choice(sides), about=about)


def _markdown(folder: Path) -> str:
    sides = _sides(folder)
    count = sum(len(side) for side in sides.values())
    about = ABOUT.format(folders=", ".join(f"`{kind}/`" for kind in sides), count=count, day=_day(sides), page=PAGE)
    table = ["## The records", "", "| file | sha256 |", "|---|---|"]
    table += [f"| {name} | `{hashlib.sha256(content).hexdigest()}` |" for name, content in _files(folder, sides)]
    return "\n".join([about, "## The comparison", "", markdown(_sections(sides)), *table, ""])


def main(folder: Annotated[Path, typer.Argument(help="Where the folders of records are.")] = PUBLISHED) -> None:
    """Write the page of the records that ship, in HTML and Markdown."""
    try:
        for path in write_published(folder):
            print(f"wrote {path}")
    except ResultsError as error:
        print(f"{error.message}\n  hint: {error.hint}", file=sys.stderr)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    typer.run(main)
