"""What the commands that measure have in common: the plan, where it goes, how it stops, what is shown at its end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.announcing import announce, say_pilot, say_stopped_early
from bench.campaign import run_campaign
from bench.comparing import print_comparison
from bench.continuation import find_standing
from bench.effort import Effort
from bench.entry import say
from bench.errors import UsageError
from bench.folders import placed
from bench.interruption import Interrupted, orderly_stop
from bench.progress import Display
from bench.schedule import Campaign
from results.compare import group_cases
from results.costs import PriceChoice
from results.planning import MOST_RUNS, runs_needed, targets
from results.record import RunRecord
from results.render import markdown
from results.report import make_sections
from results.stats import FEWEST_RUNS
from results.store import load_all, record_files
from results.summary import is_of_pilot


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants beside the campaign itself."""

    choice: PriceChoice
    margin: float
    effort: Effort = field(default_factory=Effort)
    out: Path | None = None
    strict: bool = False
    again: bool = False
    conclude: Callable[[Sequence[RunRecord]], None] = lambda records: None
    """Told all records after the comparison is printed."""


def measure_and_compare(campaign: Campaign, wish: Wish) -> int:
    """Run what is missing of the campaign, print the comparison, return the exit code.

    Raises:
        ResultsError, UsageError: the folder cannot be used, or a pilot has too few runs.
    """
    campaign = placed(_with_effort(campaign, wish.effort), wish.out, again=wish.again)
    before = record_files(campaign.folder)
    announce(campaign, wish.choice)
    try:
        with orderly_stop(campaign.budget.left_seconds if campaign.budget else None):
            records = _all_measured(campaign, wish)
    except Interrupted as stop:
        records = load_all(record_files(campaign.folder)) if record_files(campaign.folder) else []
        if not (stop.time_is_up and records):
            _say_stopped(campaign.folder, "the end of its budget" if stop.time_is_up else str(stop), again=wish.again)
            return 3 if stop.time_is_up else stop.exit_code
        say_stopped_early(campaign, records)
    if record_files(campaign.folder) == before:
        say(f"fairchip: finished already, nothing was measured: all {len(records)} runs are in {campaign.folder}")
        say("  hint: to measure again, give the same command with --again")
    _conclude(campaign.folder, records, wish)
    return _exit_code(records, strict=wish.strict)


def _with_effort(campaign: Campaign, effort: Effort) -> Campaign:
    if effort.half_width is not None and campaign.runs < FEWEST_RUNS:
        raise UsageError(f"--precision needs a pilot, {campaign.runs} runs are none", f"give --runs {FEWEST_RUNS}")
    pilot = None if effort.half_width is None else campaign.runs
    return replace(campaign, pilot_runs=pilot, budget=effort.budget)


def _all_measured(campaign: Campaign, wish: Wish) -> Sequence[RunRecord]:
    """The records of the whole suite: with a precision to reach, of its pilot and of what that asks for."""
    records = _measured(campaign)
    if wish.effort.half_width is not None and _is_whole(campaign, records):
        campaign = replace(campaign, runs=_planned(campaign.runs, records, wish.effort.half_width))
        announce(campaign, wish.choice)
        records = _measured(campaign)
    if not _is_whole(campaign, records):
        say_stopped_early(campaign, records)
    return records


def _planned(pilot_runs: int, records: Sequence[RunRecord], half_width: float) -> int:
    """Runs that the pilot asks for, and what it found, said."""
    pilot = targets([record for record in records if is_of_pilot(record)])
    needed = {name: runs_needed(interval, half_width) for name, interval in pilot.items()}
    say_pilot(pilot, needed, half_width)
    asked = max((runs for runs in needed.values() if runs), default=pilot_runs)
    return max(pilot_runs, min(asked, MOST_RUNS))


def _measured(campaign: Campaign) -> Sequence[RunRecord]:
    kept = find_standing(campaign).kept
    if len(kept) >= campaign.total_runs:
        return kept
    with Display(campaign.total_runs) as display:
        return run_campaign(campaign, display)


def _is_whole(campaign: Campaign, records: Sequence[RunRecord]) -> bool:
    return len(records) >= campaign.total_runs


def _say_stopped(folder: Path, asked: str, *, again: bool) -> None:
    if not record_files(folder):
        say(f"fairchip: stopped by {asked}; no run was finished")
        return
    say(f"fairchip: stopped by {asked}; finished runs are in {folder}")
    change = f", without --again and with --out {folder}," if again else ""
    say(f"  hint: the same command{change} goes on from there")


def _exit_code(records: Sequence[RunRecord], *, strict: bool) -> int:
    if all(record.status != "ok" for record in records):
        return 3
    return 1 if strict and not _all_hold(records) else 0


def _all_hold(records: Sequence[RunRecord]) -> bool:
    """Whether every run ended well and every timed one kept its rank."""
    ranked = sum(len(case.ranked) for case in group_cases({"": records}))
    timed = sum(record.place.role == "timed" for record in records)
    return ranked == timed and all(record.status == "ok" for record in records)


def _conclude(folder: Path, records: Sequence[RunRecord], wish: Wish) -> None:
    """Table, report file and places; without the reporting libraries, the places and what to install."""
    try:
        page = markdown(make_sections({"": records}, wish.choice, wish.margin))
        print_comparison({"": records}, wish.choice, wish.margin, "table")
        wish.conclude(records)
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
