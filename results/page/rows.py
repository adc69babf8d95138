"""The table of a section: a row a case, in whatever state it is; and the rows that others have published."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from results.anchors import Anchor, load_anchors
from results.compare import Section
from results.costs import PriceChoice, PricedCase, prices_of
from results.prices import PriceObservation, usd_per_million_tokens
from results.purchase_models import PURCHASE_MODELS
from results.record import Instance
from results.render import shown_model
from results.stats import Interval

MISSING = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case or published result, as text."""

    name: str
    recipe: str
    chip: str
    instance: str
    tokens_per_second_per_chip: str
    tokens_per_second_per_instance: str
    costs: tuple[str, ...]
    """USD per million tokens, by the table's purchase models."""
    utilisation: str
    joules_per_token: str
    start_up: str
    runs: str
    status: str
    """measured, no rank, simulated, published, derived, or how every run ended."""
    remarks: tuple[str, ...]
    side: int | None = None
    """Which accent the case has; None: published."""


def purchase_models(section: Section) -> tuple[str, ...]:
    """Those under which a case has a cost: the shown one first, then those that price every case, then the others."""
    priced = [set(case.costs) for case in section.cases if case.summary.throughput is not None]
    shown = shown_model(section)

    def order(model: str) -> tuple[bool, bool, int]:
        matched = all(model in models for models in priced)
        return model != shown, not matched, PURCHASE_MODELS.index(model)

    return tuple(sorted(set().union(*priced), key=order))


def case_rows(section: Section, models: Sequence[str]) -> tuple[Row, ...]:
    """Every case, ranked or not."""
    return tuple(_row(number, case, models) for number, case in enumerate(section.cases))


def status(case: PricedCase) -> str:
    """What the case's numbers are: measured, simulated, without a rank, or how every run ended."""
    summary = case.summary
    if summary.first.provenance != "measured":
        return summary.first.provenance
    if summary.ranked:
        return "measured"
    return "no rank" if summary.unranked_tokens_per_second is not None else summary.first.status


def _row(number: int, case: PricedCase, models: Sequence[str]) -> Row:
    summary, first = case.summary, case.summary.first
    return Row(
        name=summary.label,
        recipe=recipe_name(case),
        chip=chip(case),
        instance=case.instance or "unknown machine",
        tokens_per_second_per_chip=_speed(case, 1 / first.case.chips) if first.case.device_type != "cpu" else MISSING,
        tokens_per_second_per_instance=_speed(case, 1.0),
        costs=tuple(_cost(case, model) for model in models),
        utilisation=share(summary.utilisation.fraction),
        joules_per_token=MISSING
        if summary.energy.joules_per_token is None
        else f"{summary.energy.joules_per_token:.4g}",
        start_up=" / ".join(
            MISSING if seconds is None else f"{seconds:.1f}"
            for seconds in (summary.cold_start_seconds, summary.warm_start_seconds)
        ),
        runs=f"{len(summary.ranked)} of {sum(record.place.role == 'timed' for record in summary.records)}",
        status=status(case),
        remarks=tuple(dict.fromkeys(_remarks(case))),
        side=number,
    )


def recipe_name(case: PricedCase) -> str:
    """Name and track of the recipe, once if they are the same."""
    recipe = case.summary.first.case.recipe
    name, track = str(recipe.get("name", "as-is")), str(recipe.get("track", recipe.get("name", "as-is")))
    return name if name == track else f"{name} ({track})"


def chip(case: PricedCase) -> str:
    """The accelerator as the driver calls it, else the processor."""
    first = case.summary.first
    if first.case.device_type == "cpu":
        return first.environment.cpu_model
    told = first.measurement.session.get("device_name") if first.measurement else None
    rented = case.rented.accelerator if case.rented else None
    return str(told or rented or first.case.device_type)


def share(fraction: float | None) -> str:
    """0.123 as 12.3 %."""
    return MISSING if fraction is None else f"{fraction:.1%}"


def ends(interval: Interval, digits: int = 3) -> str:
    """``1.753 [1.710, 1.796]``; without brackets where there is no interval."""
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:,.{digits}f}"
    return f"{interval.estimate:,.{digits}f} [{interval.low:,.{digits}f}, {interval.high:,.{digits}f}]"


def _speed(case: PricedCase, part: float) -> str:
    speed = case.summary.throughput
    if speed is None:
        number = case.summary.unranked_tokens_per_second
        return MISSING if number is None else f"({number * part:,.0f})"
    return f"{speed.estimate * part:,.0f}" + (f" ±{speed.half_width:.1%}" if speed.half_width is not None else "")


def _cost(case: PricedCase, model: str) -> str:
    cost = case.costs.get(model)
    return MISSING if cost is None else f"{cost.usd_per_million_tokens:.4f}"


def _remarks(case: PricedCase) -> Iterator[str]:
    yield from (problem for problem in case.summary.problems if not problem.startswith("note:"))
    if case.idle:
        yield case.idle
    if case.summary.first.provenance != "measured":
        yield f"{case.summary.first.provenance}: never ranked, priced or compared"
    if case.instance is None and case.summary.throughput is not None:
        yield from case.missing.values()


def published_rows(models: Sequence[str], choice: PriceChoice) -> tuple[Row, ...]:
    """What others have published, at the prices of the day: nobody measured it here, so it enters no verdict."""
    return tuple(_published(anchor, models, choice) for anchor in load_anchors())


def _published(anchor: Anchor, models: Sequence[str], choice: PriceChoice) -> Row:
    prices = _book_prices(anchor, choice)
    speed = anchor.tokens_per_second_per_instance
    costs = (
        MISSING if model not in prices else f"{usd_per_million_tokens(prices[model], speed):.4f}" for model in models
    )
    length = f", sequence {anchor.sequence_length:,}" if anchor.sequence_length else ""
    return Row(
        name=f"{anchor.work}, {anchor.precision}{length}",
        recipe=anchor.settings,
        chip=anchor.chip,
        instance=anchor.instance or MISSING,
        tokens_per_second_per_chip=f"{anchor.tokens_per_second_per_chip:,.0f}",
        tokens_per_second_per_instance=f"{speed:,.0f}",
        costs=tuple(costs),
        utilisation=MISSING,
        joules_per_token=MISSING,
        start_up=MISSING,
        runs=MISSING,
        status=anchor.provenance,
        remarks=tuple(filter(None, (anchor.source, anchor.derivation, anchor.note))),
    )


def _book_prices(anchor: Anchor, choice: PriceChoice) -> dict[str, float]:
    if not anchor.instance:
        return {}
    machine = Instance(provider=None, name=anchor.instance, source="published")
    found = prices_of(machine, replace(choice, usd_per_hour=None))
    return {
        model: price.usd_per_hour
        for model, price in found.items()
        if isinstance(price, PriceObservation) and price.usd_per_hour is not None
    }
