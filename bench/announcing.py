"""What is said of a suite's length: the plan before it begins, what a pilot asks for, why it ended early."""

from collections.abc import Mapping, Sequence

from bench.continuation import find_standing
from bench.entry import say
from bench.forecast import Forecast, earlier_records
from bench.progress import minutes
from bench.schedule import Campaign, Turn, rounds_of, schedule
from results.costs import PriceChoice, rent
from results.planning import MOST_RUNS
from results.record import RunRecord
from results.stats import FEWEST_RUNS, Interval


def announce(campaign: Campaign, choice: PriceChoice) -> None:
    """Cases, runs, minutes and dollars of what is about to run, and whether a budget is enough for it."""
    standing = find_standing(campaign)
    turns = standing.missing(schedule(campaign, standing.suite_id))
    if not turns:
        return
    forecast = Forecast(campaign, [*earlier_records(), *standing.kept])
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
    price, _ = rent(campaign.environment.instance.name, choice)
    if price is None or price.usd_per_hour is None:
        return ""
    return f", {price.usd_per_hour * seconds / 3600:.4f} USD at {price.usd_per_hour:g} USD/h ({price.purchase_model})"


def _announce_budget(campaign: Campaign, forecast: Forecast, rounds: Sequence[Sequence[Turn]]) -> None:
    assert campaign.budget is not None
    left, fitting = campaign.budget.left_seconds, 0
    for turns in rounds:
        left -= forecast.seconds(turns)
        if left < 0:
            break
        fitting += 1
    say(f"  budget: {campaign.budget.seconds / 60:.3g} min; it stops in time, after the last whole round that fits")
    if fitting < len(rounds):
        say(f"  that may be too little: about {fitting} of {len(rounds)} rounds fit, cold starts included")


def say_pilot(pilot: Mapping[str, Interval], needed: Mapping[str, int | None], half_width: float) -> None:
    """What the pilot found, comparison by comparison, and how many runs the target takes."""
    for name, interval in pilot.items():
        runs = needed[name]
        found = "no interval" if interval.half_width is None else f"±{interval.half_width:.1%}"
        asks = f"{runs} runs" if runs is not None else "too few of its runs have a rank"
        capped = f", of which {MOST_RUNS} are made" if runs is not None and runs > MOST_RUNS else ""
        say(f"pilot: {name}: {found} after {interval.runs} runs; ±{half_width:.1%} takes {asks}{capped}")
    if not pilot:
        say("pilot: no run has a rank, so nothing can be planned")


def say_stopped_early(campaign: Campaign, records: Sequence[RunRecord]) -> None:
    """How far it came within its budget."""
    planned = max([campaign.runs, *(record.place.runs_planned for record in records)])
    whole = sum(record.place.role == "timed" for record in records) // len(campaign.cases)
    short = "" if whole >= FEWEST_RUNS else f"; under {FEWEST_RUNS} there is no verdict"
    say(f"budget: it ends here, after {whole} of {planned} runs of each case{short}")
    say("  hint: the same command goes on from there")
