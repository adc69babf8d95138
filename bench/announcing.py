"""What is said of a suite's length: the plan before it begins, what a pilot asks for, how and where it stopped."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.campaign import Made
from bench.continuation import find_standing
from bench.entry import say
from bench.forecast import Forecast
from bench.progress import minutes
from bench.schedule import Campaign, Turn, rounds_of, schedule
from results.costs import PriceChoice, rent
from results.record import RunRecord
from results.stats import FEWEST_RUNS, Interval


def announce(campaign: Campaign, forecast: Forecast, choice: PriceChoice) -> None:
    """Cases, runs, minutes and dollars of what is about to run, and whether a budget is enough for it."""
    standing = find_standing(campaign)
    turns = standing.missing(schedule(campaign, standing.suite_id))
    if not turns:
        return
    seconds, known = forecast.seconds(turns), forecast.knows(turns)
    basis = "as such runs took here before" if known else "a guess: such runs were not all made here before"
    pilot = ", the pilot" if campaign.pilot_runs == campaign.runs else ""
    say(f"plan: {_size(campaign)}{pilot}; {len(turns)} to make")
    say(f"  about {minutes(seconds)}{_dollars(campaign, choice, seconds)} ({basis})")
    if campaign.budget is not None:
        _announce_budget(campaign, forecast, rounds_of(turns))


def _size(campaign: Campaign) -> str:
    starts = f"{campaign.cold_starts} cold start{'s' * (campaign.cold_starts != 1)} and "
    cases = f"{len(campaign.cases)} case{'s' * (len(campaign.cases) != 1)}"
    return f"{cases} x ({starts}{campaign.runs} runs) = {campaign.total_runs} runs"


def _dollars(campaign: Campaign, choice: PriceChoice, seconds: float) -> str:
    usd_per_hour, model = rent(campaign.environment.instance, choice)
    if usd_per_hour is None:
        return ""
    return f", {usd_per_hour * seconds / 3600:.4f} USD at {usd_per_hour:g} USD/h ({model})"


def _announce_budget(campaign: Campaign, forecast: Forecast, rounds: Sequence[Sequence[Turn]]) -> None:
    assert campaign.budget is not None
    left, fitting = campaign.budget.left_seconds, 0
    for turns in rounds:
        left -= forecast.seconds(turns)
        if left < 0:
            break
        fitting += 1
    say(f"  budget: {minutes(campaign.budget.left_seconds)}; it stops in time, after the last whole round that fits")
    if fitting < len(rounds):
        say(f"  that may be too little: about {fitting} of {len(rounds)} rounds fit, cold starts included")


def say_pilot(
    pilot: Mapping[str, Interval | None], needed: Mapping[str, int | None], half_width: float, most: int
) -> None:
    """What the pilot found, comparison by comparison, and how many runs the target takes."""
    for name, interval in pilot.items():
        runs = needed[name]
        if interval is None or interval.half_width is None or runs is None:
            say(f"pilot: {name}: cannot be planned: fewer than {FEWEST_RUNS} of its rounds have a rank on every side")
            continue
        capped = f", of which {most} are made" if runs > most else ""
        found = f"±{interval.half_width:.1%} after {interval.runs} runs"
        say(f"pilot: {name}: {found}; ±{half_width:.1%} takes {runs} runs{capped}")


def say_ended_early(made: Made, *, again: bool) -> None:
    """How far a suite came within its budget."""
    rounds = _rounds(made.records)
    short = "" if rounds >= FEWEST_RUNS else f"; under {FEWEST_RUNS} there is no verdict"
    none = "" if made.new_runs else "; no round was over in time"
    say(f"budget: it ends here, after {rounds} of {made.campaign.runs} runs of each case{short}{none}")
    say(f"  hint: {_same_command(made.campaign.folder, again=again)} goes on from there, with a budget of its own")


def _rounds(records: Sequence[RunRecord]) -> int:
    return len({record.place.round for record in records if record.place.role == "timed"})


def say_stopped(folder: Path, asked: str, *, finished: bool, again: bool) -> None:
    """By whom a suite or a search was stopped, and how it goes on if any of its runs was finished."""
    if not finished:
        say(f"fairchip: stopped by {asked}; no run was finished")
        return
    say(f"fairchip: stopped by {asked}; finished runs are in {folder}")
    say(f"  hint: {_same_command(folder, again=again)} goes on from there")


def _same_command(folder: Path, *, again: bool) -> str:
    return f"the same command, without --again and with --out {folder}," if again else "the same command"
