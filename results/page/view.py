"""A section as the page shows it: question, verdicts, table, charts, and what can be opened."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from results.compare import Comparison, Section
from results.costs import PriceChoice, PricedCase
from results.page import charts, facts
from results.page.drawing import Chart
from results.page.live import live_data, pairs
from results.page.price_history import price_steps
from results.page.roofline import roofline
from results.page.rows import Row, case_rows, ends, purchase_models, recipe_name, status
from results.render import note_lines, shown_model, title, verdict_lines
from results.stats import Interval
from results.summary import machine_kind

NO_VERDICT = "no verdict"
NO_PAIR = "There is one case: nothing to hold it against. Measure a second backend, or compare two sets of records."
MOST_NAMES, LONGEST_NAMES = 3, 120
"""In the question: cases, and characters of their names together."""
MOST_BREAK_EVENS = 4
"""Charts; all break-evens are in the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """One verdict: the word, the claim, and under which conditions it holds."""

    word: str
    claim: str
    conditions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipePair:
    """One backend on one kind of machine: the shipped recipe and another one."""

    backend: str
    recipes: tuple[tuple[str, str, str, str], ...]
    """Name and track, tokens per second, times the first one's, status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionView:
    """All that the template needs of one workload."""

    title: str
    question: str
    headlines: tuple[VerdictView, ...]
    silent: tuple[VerdictView, ...]
    """Why nothing is said of other cases, where something is said of one."""
    others: tuple[VerdictView, ...]
    """Verdicts under other purchase models."""
    labels: tuple[str, ...]
    shown_model: str | None
    models: tuple[str, ...]
    rows: tuple[Row, ...]
    recipes: tuple[RecipePair, ...]
    charts: tuple[Chart, ...]
    live: dict[str, Any]
    circumstances: tuple[str, ...]
    notes: tuple[str, ...]
    environments: tuple[facts.Fact, ...]
    settings: tuple[facts.Fact, ...]
    gates: tuple[facts.Judged, ...]
    runs: tuple[facts.Run, ...]
    digest: str


def section_view(section: Section, choice: PriceChoice, margin: float) -> SectionView:
    """Everything of one workload, charts drawn.

    Raises:
        ModuleNotFoundError: the library that draws is not installed.
        PriceError: an unusable file of the reader's prices.
    """
    histories = [price_steps(case, choice) for case in section.cases]
    chosen, others = _verdicts(section)
    silent = [verdict for verdict in chosen if verdict.word == NO_VERDICT]
    headlines = [verdict for verdict in chosen if verdict.word != NO_VERDICT]
    return SectionView(
        title=title(section),
        question=question(section),
        headlines=tuple(headlines or silent),
        silent=tuple(silent if headlines else ()),
        others=others,
        labels=tuple(case.summary.label for case in section.cases),
        shown_model=shown_model(section),
        models=purchase_models(section),
        rows=case_rows(section, purchase_models(section)),
        recipes=tuple(_recipe_pairs(section.cases)),
        charts=(
            charts.forest(section),
            *_break_evens(section),
            charts.price_chart(section, histories, choice.as_of),
            charts.run_length_chart(section),
            charts.step_chart(section),
            charts.loss_chart(section),
            roofline(section),
        ),
        live=live_data(section, histories, choice, margin),
        circumstances=section.circumstances,
        notes=(*verdict_lines(section), *note_lines(section)),
        environments=facts.environment_facts(section),
        settings=facts.recipe_facts(section),
        gates=facts.judged_gates(section),
        runs=facts.runs(section),
        digest=section.digest,
    )


def question(section: Section) -> str:
    """What the section answers; many names would hide it."""
    names = list(dict.fromkeys(case.summary.label for case in section.cases))
    where = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    if len(names) > MOST_NAMES or len(where) > LONGEST_NAMES:
        return f"What does a training token cost: {len(names)} cases of the same work?"
    return f"What does a training token cost on {where}?"


def _verdicts(section: Section) -> tuple[tuple[VerdictView, ...], tuple[VerdictView, ...]]:
    """Of each pair the verdict under the shown purchase model, else its first; and the others."""
    if not section.comparisons:
        return (VerdictView(word=NO_VERDICT, claim=NO_PAIR, conditions=""),), ()
    shown, first = shown_model(section), dict[tuple[str, str], Comparison]()
    for one in section.comparisons:
        if (one.case, one.baseline) not in first or one.basis == shown:
            first[one.case, one.baseline] = one
    chosen = list(first.values())
    others = [one for one in section.comparisons if one not in chosen]
    return tuple(map(_verdict, chosen)), tuple(map(_verdict, others))


def _verdict(one: Comparison) -> VerdictView:
    claim, parted, conditions = one.sentence.partition(f" ({one.basis}")
    word = NO_VERDICT if one.verdict == "none" else one.verdict
    return VerdictView(
        word=word, claim=re.sub("^a token", "A token", claim), conditions=f"({one.basis}{conditions}" if parted else ""
    )


def _recipe_pairs(cases: Sequence[PricedCase]) -> Iterator[RecipePair]:
    """Backends that ran under several recipes on one kind of machine."""
    groups: dict[tuple[str, ...], list[PricedCase]] = {}
    for case in cases:
        first = case.summary.first
        groups.setdefault((first.case.backend, *machine_kind(first)), []).append(case)
    for (backend, *_), group in groups.items():
        if len({recipe_name(case) for case in group}) > 1:
            yield RecipePair(backend=backend, recipes=tuple(_recipe_line(case, group[0]) for case in group))


def _recipe_line(case: PricedCase, first: PricedCase) -> tuple[str, str, str, str]:
    speed, measure = case.summary.throughput, first.summary.throughput
    times = "–" if speed is None or measure is None else f"{speed.estimate / measure.estimate:.3f}"
    return recipe_name(case), _speed(speed), times, status(case)


def _speed(speed: Interval | None) -> str:
    return "–" if speed is None else ends(speed, 0)


def _break_evens(section: Section) -> tuple[Chart, ...]:
    """A chart for each pair on different machines; where the price cancels, that is said instead."""
    places = {case.summary.label: number for number, case in enumerate(section.cases)}
    known = pairs(section)
    drawn = [
        charts.break_even_chart(section, one, known.index((places[one.baseline], places[one.case])))
        for one in section.break_evens[:MOST_BREAK_EVENS]
    ]
    if drawn:
        return tuple(drawn)
    reason = "the cases ran on the same machine, so its price cancels" if known else "no two cases can be compared"
    return (Chart(title="Cost per token against the price of the machine", text=f"Not drawn: {reason}."),)
