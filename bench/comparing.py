"""What the commands that compare have in common: the choice of prices, and printing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console

from bench.entry import say
from bench.errors import UsageError
from results.compare import Section
from results.costs import PriceChoice, require_usable
from results.files import write_atomically
from results.own_prices import parse_discounts
from results.record import RunRecord
from results.render import Format, as_json, markdown, print_sections
from results.report import make_sections
from results.thresholds import Threshold, with_checks


def price_choice(
    instance: str | None,
    region: str | None,
    usd_per_hour: float | None,
    as_of: str | None,
    files: Sequence[Path] | None = None,
    discounts: Sequence[str] | None = None,
    goodput: float = 1.0,
) -> PriceChoice:
    """What the reader says about prices, checked before anything is measured.

    Raises:
        UsageError: not a day.
        PriceError: an unknown instance or region, a price that is not positive, an unusable file or discount.
    """
    choice = PriceChoice(
        as_of=chosen_day(as_of),
        instance=instance,
        region=region,
        usd_per_hour=usd_per_hour,
        files=tuple(files or ()),
        discounts=parse_discounts(discounts or ()),
        goodput=goodput,
    )
    require_usable(choice)
    return choice


def chosen_day(as_of: str | None) -> date:
    """The day of ``--as-of``; today, in UTC, without it.

    Raises:
        UsageError: not a day.
    """
    try:
        return date.fromisoformat(as_of) if as_of else datetime.now(UTC).date()
    except ValueError:
        raise UsageError(f"--as-of {as_of!r} is not a day", "write it as YYYY-MM-DD") from None


def print_comparison(
    sides: Mapping[str, Sequence[RunRecord]],
    choice: PriceChoice,
    margin: float,
    format_: Format,
    thresholds: Sequence[Threshold] = (),
    *,
    html: Path | None = None,
    md: Path | None = None,
) -> bool:
    """The comparison on standard output, and as a page or Markdown file where a path is given.

    Tells whether every threshold stands, held or undecided. A table of runs has no place for thresholds: there they
    are said on standard error.

    Raises:
        ResultsError: the sides cannot be compared, or a price cannot be used.
        UsageError: a path that no such file is written to.
        ModuleNotFoundError: a library of the page is missing.
        OSError: a file cannot be written; what was there stays.
    """
    _require_places({html: (".html", ".htm"), md: (".md",)})
    if format_ == "csv" and not thresholds and html is None and md is None:
        _print_runs(sides)
        return True
    sections = with_checks(make_sections(sides, choice, margin), thresholds, sides)
    checks = [check for section in sections for check in section.checks]
    _write_files(sections, choice, margin, html, md)
    if format_ == "csv":
        _print_runs(sides)
        for check in checks:
            say(f"{check.outcome.upper()}: {check.sentence}")
    elif format_ == "json":
        print(as_json(sections))
    elif format_ == "md":
        print(markdown(sections))
    else:
        console = Console()
        print_sections(sections, console if console.is_terminal else Console(width=100))
    return all(check.outcome != "broken" for check in checks)


def _print_runs(sides: Mapping[str, Sequence[RunRecord]]) -> None:
    """A row a run."""
    from results.frame import run_frame

    print(run_frame([record for records in sides.values() for record in records]).to_csv(index=False), end="")


def _require_places(endings: Mapping[Path | None, tuple[str, ...]]) -> None:
    """Refuse a mistyped path before anything is computed: a record, say, is never replaced by its report."""
    for path, allowed in endings.items():
        if path is None:
            continue
        if path.suffix.lower() not in allowed:
            raise UsageError(f"{path} does not end in {allowed[0]}", f"write it as {path.stem or 'report'}{allowed[0]}")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}", "make it first, or name one that is there")


def _write_files(
    sections: Sequence[Section], choice: PriceChoice, margin: float, html: Path | None, md: Path | None
) -> None:
    if html is not None:
        from results.page.writing import write_page

        write_page(html, sections, choice, margin)
    if md is not None:
        write_atomically(md, markdown(sections))
    for path in filter(None, (html, md)):
        say(f"wrote {path}")


def side_names(sides: Sequence[Path]) -> list[str]:
    """Short names: the last part of each path, or letters where these are not unique."""
    names = [side.stem if side.is_file() else side.resolve().name for side in sides]
    return names if len(set(names)) == len(names) else [chr(ord("A") + i) for i in range(len(sides))]
