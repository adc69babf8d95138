"""What the commands that measure have in common: the plan, where it goes, how it stops, what is shown at its end."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.announcing import announce, say_ended_early, say_pilot, say_stopped
from bench.campaign import Made, run_campaign
from bench.comparing import print_comparison
from bench.continuation import find_standing
from bench.effort import Effort
from bench.entry import say
from bench.errors import UsageError
from bench.folders import placed
from bench.forecast import Forecast, earlier_records
from bench.interruption import Interrupted, orderly_stop
from bench.progress import Display
from bench.schedule import Campaign
from results.compare import group_cases
from results.costs import PriceChoice, rent
from results.planning import MOST_RUNS, runs_needed, targets
from results.record import RunRecord
from results.render import Format, markdown
from results.report import make_sections
from results.stats import FEWEST_RUNS
from results.store import record_files
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
    format_: Format = "table"
    """Of what is printed at the end."""
    conclude: Callable[[Sequence[RunRecord]], None] = lambda records: None
    """Told all records after the comparison is printed."""


def measure_and_compare(campaign: Campaign, wish: Wish) -> int:
    """Run what is missing of the campaign, print the comparison, return the exit code.

    Raises:
        ResultsError, UsageError: the folder cannot be used, or a pilot has too few runs.
    """
    campaign = placed(_with_effort(campaign, wish.effort), wish.out, again=wish.again)
    forecast = Forecast(campaign, [*earlier_records(), *find_standing(campaign).kept])
    announce(campaign, forecast, wish.choice)
    try:
        with orderly_stop():
            made = _made(campaign, forecast, wish)
    except Interrupted as stop:
        finished = bool(record_files(campaign.folder))
        say_stopped(campaign.folder, str(stop), finished=finished, again=wish.again)
        return stop.exit_code
    if not made.is_whole:
        say_ended_early(made, again=wish.again)
    elif not made.new_runs:
        say(f"fairchip: finished already, nothing was measured: all {len(made.records)} runs are in {campaign.folder}")
        say("  hint: to measure again, give the same command with --again")
    if not made.records:
        return 3
    _conclude(campaign.folder, made.records, wish)
    return _exit_code(made, strict=wish.strict)


def _with_effort(campaign: Campaign, effort: Effort) -> Campaign:
    if effort.half_width is None:
        return replace(campaign, budget=effort.budget)
    if campaign.runs < FEWEST_RUNS:
        raise UsageError(
            f"--precision needs a pilot of {FEWEST_RUNS} runs or more, and {campaign.suite} has {campaign.runs}",
            f"take another suite, or fairchip run with --runs {FEWEST_RUNS} or more",
        )
    return replace(campaign, pilot_runs=campaign.runs, target_half_width=effort.half_width, budget=effort.budget)


def _made(campaign: Campaign, forecast: Forecast, wish: Wish) -> Made:
    """What there is in the end; a suite that is whole already is left alone."""

    def lengthened(pilot: Campaign, records: Sequence[RunRecord]) -> Campaign:
        """As long as the pilot asks for, said."""
        longer = replace(pilot, runs=_planned(pilot, records))
        announce(longer, forecast, wish.choice)
        return longer

    found = Made(campaign=campaign, records=find_standing(campaign).kept, new_runs=0)
    if found.is_whole and campaign.pilot_runs is not None:
        found = replace(found, campaign=lengthened(campaign, found.records))
    if found.is_whole:
        return found
    usd_per_hour, _ = rent(campaign.environment.instance, wish.choice)
    with Display(found.campaign.total_runs, usd_per_hour=usd_per_hour) as display:
        return run_campaign(found.campaign, display, forecast, lengthened)


def _planned(campaign: Campaign, records: Sequence[RunRecord]) -> int:
    """Runs that the pilot asks for, and what it found, said."""
    assert campaign.target_half_width is not None, "only a target has a pilot"
    pilot = targets([record for record in records if is_of_pilot(record)])
    needed = {name: runs_needed(interval, campaign.target_half_width) for name, interval in pilot.items()}
    most = max(MOST_RUNS, campaign.runs)
    say_pilot(pilot, needed, campaign.target_half_width, most)
    return max(campaign.runs, min(max((runs for runs in needed.values() if runs), default=0), most))


def _exit_code(made: Made, *, strict: bool) -> int:
    """A budget that was spent on no whole round has measured nothing."""
    if all(record.status != "ok" for record in made.records) or not (made.is_whole or made.new_runs):
        return 3
    return 1 if strict and not _all_hold(made.records) else 0


def _all_hold(records: Sequence[RunRecord]) -> bool:
    """Whether every run ended well and every timed one kept its rank."""
    ranked = sum(len(case.ranked) for case in group_cases({"": records}))
    timed = sum(record.place.role == "timed" for record in records)
    return ranked == timed and all(record.status == "ok" for record in records)


def _conclude(folder: Path, records: Sequence[RunRecord], wish: Wish) -> None:
    """Table, report file and places; without the reporting libraries, the places and what to install.

    In a format for programs nothing else is on standard output.
    """
    tell = print if wish.format_ == "table" else say
    try:
        page = markdown(make_sections({"": records}, wish.choice, wish.margin))
        print_comparison({"": records}, wish.choice, wish.margin, wish.format_)
        wish.conclude(records)
        _write_report(folder / "report.md", page, tell)
    except ModuleNotFoundError as error:
        say(f"no comparison: it needs {error.name}; install it with: make setup, or pip install -e '.[report]'")
    tell(f"records: {folder}")


def _write_report(path: Path, page: str, tell: Callable[[str], None]) -> None:
    """The page can be made again from the records at any time, so a full disk is no failure."""
    try:
        path.write_text(page + "\n", encoding="utf-8", errors="replace")
        tell(f"report:  {path}")
    except OSError as error:
        say(f"no report file: {path}: {error.strerror}")
