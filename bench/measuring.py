"""What the commands that measure have in common: where it goes, how it stops, what is shown at its end."""

from collections.abc import Sequence
from pathlib import Path

from bench.campaign import run_campaign
from bench.comparing import print_comparison
from bench.continuation import find_standing
from bench.entry import say
from bench.folders import placed
from bench.interruption import Interrupted, orderly_stop
from bench.progress import Display
from bench.schedule import Campaign
from results.compare import group_cases
from results.costs import PriceChoice
from results.record import RunRecord
from results.render import markdown
from results.report import make_sections
from results.store import record_files


def measure_and_compare(
    campaign: Campaign, out: Path | None, choice: PriceChoice, *, margin: float, strict: bool, again: bool
) -> int:
    """Run what is missing of the campaign, print the comparison, return the exit code.

    Raises:
        ResultsError, UsageError: the folder cannot be used.
    """
    campaign = placed(campaign, out, again=again)
    try:
        with orderly_stop():
            records = _finished(campaign) or _measured(campaign)
    except Interrupted as stop:
        _say_stopped(campaign.folder, str(stop), again=again)
        return stop.exit_code
    _conclude(campaign.folder, records, choice, margin)
    if all(record.status != "ok" for record in records):
        return 3
    return 1 if strict and not _all_hold(records) else 0


def _finished(campaign: Campaign) -> Sequence[RunRecord]:
    """The records of a suite that is finished already, saying so; none if there is something to run."""
    kept = find_standing(campaign).kept
    if len(kept) < campaign.total_runs:
        return ()
    say(f"fairchip: finished already, nothing was measured: all {len(kept)} runs are in {campaign.folder}")
    say("  hint: to measure again, give the same command with --again")
    return kept


def _measured(campaign: Campaign) -> Sequence[RunRecord]:
    with Display(campaign.total_runs) as display:
        return run_campaign(campaign, display)


def _say_stopped(folder: Path, asked: str, *, again: bool) -> None:
    if not record_files(folder):
        say(f"fairchip: stopped by {asked}; no run was finished")
        return
    say(f"fairchip: stopped by {asked}; finished runs are in {folder}")
    change = f", without --again and with --out {folder}," if again else ""
    say(f"  hint: the same command{change} goes on from there")


def _all_hold(records: Sequence[RunRecord]) -> bool:
    """Whether every run ended well and every timed one kept its rank."""
    ranked = sum(len(case.ranked) for case in group_cases({"": records}))
    timed = sum(record.place.role == "timed" for record in records)
    return ranked == timed and all(record.status == "ok" for record in records)


def _conclude(folder: Path, records: Sequence[RunRecord], choice: PriceChoice, margin: float) -> None:
    """Table, report file and places; without the reporting libraries, the places and what to install."""
    try:
        page = markdown(make_sections({"": records}, choice, margin))
        print_comparison({"": records}, choice, margin, "table")
        _write_report(folder / "report.md", page)
    except ModuleNotFoundError as error:
        say(f"no comparison: it needs {error.name}; install it with: make setup, or pip install -e '.[report]'")
    print(f"records: {folder}")


def _write_report(path: Path, page: str) -> None:
    """The page can be made again from the records at any time, so a full disk is no failure."""
    try:
        path.write_text(page + "\n", encoding="utf-8", errors="replace")
        print(f"report:  {path}")
    except OSError as error:
        say(f"no report file: {path}: {error.strerror}")
