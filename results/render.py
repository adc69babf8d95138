"""A comparison as text: a table for the terminal, Markdown, JSON or CSV, all from the same rows."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from results.break_even_text import break_even_lines
from results.circumstances import doubts
from results.compare import Comparison, Section
from results.costs import Cost, PricedCase, agreed, models_in_order
from results.plain_text import plain, shortened
from results.purchase_models import PURCHASE_MODELS
from results.quantities import duration
from results.run_length import LEFT_OUT, START_UP_SHARE, Running
from results.stats import Interval

Format = Literal["table", "md", "json", "csv"]

MISSING = "-"

GAP = "  "
LENGTHS = {"an hour": 3600.0, "a day": 86400.0, "30 days": 30 * 86400.0}
"""Rented seconds of runs whose cost is shown with start-up."""
NARROWEST_NAME = 16
"""Columns to which the name of a case may shrink, wrapped, before the table becomes a list."""

HEADINGS = ("case", "runs", "tokens/s", "step ms", "start-up s", "GB", "peak %", "$/Mtoken", "cost ratio")


def print_sections(sections: Sequence[Section], console: Console) -> None:
    """The comparison on a terminal; verdicts and notes under each table. Every number is whole at any width."""
    for section in sections:
        console.print(Text(plain(title(section)), style="bold"))
        _print_rows([[plain(cell) for cell in row] for row in rows(section)], console)
        for line in verdict_lines(section) + note_lines(section):
            text = Text(f"  {plain(line)}")
            text.highlight_regex(r"(?<=^  )(BETTER|HELD)\b", "green")
            text.highlight_regex(r"(?<=^  )(WORSE|BROKEN)\b", "red")
            console.print(text, soft_wrap=not console.is_terminal)
        console.print()


def _print_rows(cells: Sequence[Sequence[str]], console: Console) -> None:
    """A table, whose first column alone may wrap, or a line a fact where the terminal is too narrow for it."""
    first, *others = (max(map(len, column)) for column in zip(HEADINGS, *cells, strict=True))
    if min(first, NARROWEST_NAME) + sum(others) + len(others) * len(GAP) <= console.width:
        console.print(_table(cells))
        return
    for name, *facts in cells:
        console.print(Text(name))
        for heading, fact in zip(HEADINGS[1:], facts, strict=True):
            console.print(Text(f"  {heading:<12}{fact}"))


def _table(cells: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, len(GAP), 0, 0), pad_edge=False, header_style="underline")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "case" else "right", no_wrap=heading != "case")
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def markdown(sections: Sequence[Section]) -> str:
    """The comparison as Markdown."""
    parts: list[str] = []
    for section in sections:
        parts += [f"### {_escape(title(section))}", ""]
        parts += ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
        parts += ["| " + " | ".join(_escape(cell) for cell in row) + " |" for row in rows(section)]
        parts += ["", *(f"- {_escape(line)}" for line in verdict_lines(section) + note_lines(section)), ""]
    return "\n".join(parts)


def as_json(sections: Sequence[Section]) -> str:
    """The comparison as JSON, numbers unrounded."""
    return json.dumps([_section_data(section) for section in sections], indent=1, default=str, allow_nan=False)


def title(section: Section) -> str:
    """What the cases of a section have in common."""
    return (
        f"{section.workload}, {section.precision}: {section.parameters / 1e6:,.1f} M parameters, "
        f"{section.tokens_per_step:,} tokens a step, digest {section.digest[:12]}"
    )


def rows(section: Section) -> list[tuple[str, ...]]:
    """One row of text a case."""
    model = shown_model(section)
    ratios = {comparison.case: comparison for comparison in section.comparisons}
    ratios |= {comparison.case: comparison for comparison in section.comparisons if comparison.basis == model}
    return [_row(case, ratios.get(case.summary.label), model) for case in section.cases]


def shown_model(section: Section) -> str | None:
    """The purchase model of the cost column: the first that prices every case that has a throughput, or None.

    The reader's own price goes first, then the model under which all machines that tell it were bought.
    """
    priced = [case.costs.keys() for case in section.cases if case.summary.throughput is not None]
    common = set.intersection(*map(set, priced)) if priced else set()
    models = models_in_order(agreed(case.bought_as for case in section.cases))
    return next((model for model in ("user", *models, *PURCHASE_MODELS) if model in common), None)


def _row(case: PricedCase, comparison: Comparison | None, model: str | None) -> tuple[str, ...]:
    summary = case.summary
    starts = (summary.cold_start_seconds, summary.warm_start_seconds)
    return (
        summary.label,
        f"{len(summary.ranked)}/{sum(1 for record in summary.records if record.place.role == 'timed')}",
        _speed(case),
        MISSING if summary.step_seconds is None else f"{summary.step_seconds * 1e3:,.1f}",
        " / ".join(MISSING if seconds is None else f"{seconds:.1f}" for seconds in starts),
        MISSING if summary.peak_memory_bytes is None else f"{summary.peak_memory_bytes / 1e9:.2f}",
        MISSING if summary.utilisation.fraction is None else f"{summary.utilisation.fraction:.1%}",
        f"{case.costs[model].usd_per_million_tokens:.4f}" if model and model in case.costs else MISSING,
        MISSING if comparison is None else _ratio(comparison.cost_ratio),
    )


def _speed(case: PricedCase) -> str:
    speed = case.summary.throughput
    if speed is None:
        number = case.summary.unranked_tokens_per_second
        return MISSING if number is None else f"({number:,.0f})"
    return f"{speed.estimate:,.0f}" + (f" ±{speed.half_width:.1%}" if speed.half_width is not None else "")


def _ratio(ratio: Interval | None) -> str:
    if ratio is None:
        return MISSING
    ends = "" if ratio.low is None or ratio.high is None else f" [{ratio.low:.3f}, {ratio.high:.3f}]"
    return f"{ratio.estimate:.3f}{ends}"


def verdict_lines(section: Section) -> list[str]:
    """One sentence a comparison, at which prices it would turn, and what became of the reader's thresholds."""
    verdicts = [f"{comparison.verdict.upper()}: {comparison.sentence}" for comparison in section.comparisons]
    checks = [f"{check.outcome.upper()}: {check.sentence}" for check in section.checks]
    return [*verdicts, *break_even_lines(section), *checks]


def note_lines(section: Section) -> list[str]:
    """Costs and prices, what is missing and why, utilisation's basis, problems; each said once."""
    model = shown_model(section)
    lines = [*section.circumstances]
    lines.append(f"$/Mtoken: {model}" if model else "$/Mtoken: no purchase model has a price for every case")
    for case in section.cases:
        lines += [f"{case.instance or 'this machine'} was bought as: {case.bought_as}"] if case.bought_as else []
        lines += [_cost_line(case, model, cost) for model, cost in case.costs.items()]
        lines += [f"no cost ({model}): {reason}" for model, reason in case.missing.items()]
        lines += [f"{case.summary.label}: {case.idle}"] if case.idle else []
        lines += _run_length_line(case, model)
        lines += doubts(case)
        lines.append(f"peak %: {case.summary.utilisation.basis}")
        lines += _achievable_line(case)
        lines.append(_energy_line(case))
        lines += _gate_line(case)
        lines += [f"{case.summary.label}: {problem}" for problem in case.summary.problems]
    lines += [f"{LEFT_OUT}{_lost_time(section)}"] if model else []
    return [*dict.fromkeys(lines), _own_cost_line(section, model)]


def _lost_time(section: Section) -> str:
    goodput = section.cases[0].goodput
    if goodput == 1:
        return "; idle and repeated time: none (--goodput 0.9 for 10 %)"
    return f"; idle and repeated time: {1 - goodput:.0%} of what is rented, as given"


def _gate_line(case: PricedCase) -> list[str]:
    """How many gates every run passed, and of the others in how many runs; none without a timed run."""
    counts = case.summary.gate_counts
    passed = [name for name, count in counts.items() if set(count) == {"pass"}]
    told = [f"{len(passed)} of {len(counts)} passed by every run"]
    for name in sorted(counts.keys() - passed):
        told.append(f"{name} " + ", ".join(f"{outcome} in {runs}" for outcome, runs in sorted(counts[name].items())))
    return [f"{case.summary.label}: gates: {'; '.join(told)}"] if counts else []


def _achievable_line(case: PricedCase) -> list[str]:
    """The second utilisation, of what products alone reached on the same device; none where nobody probed."""
    reached, achievable = case.summary.utilisation.of_achievable, case.summary.first.achievable
    if reached is None or achievable is None:
        return []
    return [
        f"{case.summary.label}: {reached:.1%} of the {achievable.product_flops_per_second / 1e12:,.3g} TFLOP/s that "
        f"{achievable.dtype} products of {achievable.product_size} x {achievable.product_size} matrices alone reached "
        f"on a device here; copies {achievable.copy_bytes_per_second / 1e9:,.0f} GB/s"
    ]


def _energy_line(case: PricedCase) -> str:
    """Joules of the devices, measured; or why there are none, which is the same for all of a kind."""
    energy = case.summary.energy
    if energy.joules_per_token is None or energy.watts is None:
        return f"energy: unavailable: {energy.reason}"
    return (
        f"{case.summary.label}: energy: measured {energy.joules_per_token:.4g} J/token, mean {energy.watts:,.0f} W "
        f"over the windows, of the devices alone ({energy.source})"
    )


def _own_cost_line(section: Section, model: str | None) -> str:
    """What the recorded runs took, failed ones included, as far as their records tell."""
    runs = sum(len(case.summary.records) for case in section.cases)
    seconds = sum(case.machine_seconds for case in section.cases)
    prices = [case.usd_per_hour.get(model or "") for case in section.cases]
    usd = sum((price or 0.0) * case.machine_seconds / 3600 for price, case in zip(prices, section.cases, strict=True))
    cost = f", {usd:.4f} USD ({model})" if model and all(prices) else ""
    return f"the benchmark itself: {runs} recorded runs, {seconds / 60:,.1f} min of machine time{cost}"


def _cost_line(case: PricedCase, model: str, cost: Cost) -> str:
    price = cost.price
    ends = "" if cost.low is None or cost.high is None else f" [{cost.low:.4f}, {cost.high:.4f}]"
    return (
        f"{case.summary.label}, {model}: {cost.usd_per_million_tokens:.4f}{ends} USD/Mtoken at {price.usd_per_hour:g} "
        f"USD/h for {case.instance or 'this machine'} whole ({price.kind}, {price.region or 'region not stated'}, "
        f"{price.as_of}; {shortened(price.source, 80)})"
        + ("" if cost.pro_rata is None else f"; pro rata by chip {cost.pro_rata:.4f}, if others pay for the rest")
    )


def _run_length_line(case: PricedCase, model: str | None) -> list[str]:
    """What start-up adds to the cost of a run that lasts so long, and from which length on it is nothing."""
    summary = case.summary
    start_up = summary.cold_start_seconds or summary.warm_start_seconds
    if model is None or model not in case.costs or summary.throughput is None or start_up is None:
        return []
    price = case.costs[model].price.usd_per_hour
    running = Running(tokens_per_second=summary.throughput.estimate, start_up_seconds=start_up, goodput=case.goodput)
    costs = {name: running.usd_per_million_tokens(price or 0.0, seconds) for name, seconds in LENGTHS.items()}
    each = ", ".join(f"{cost:.4g} over {name}" for name, cost in costs.items() if cost is not None)
    share = f"{START_UP_SHARE:.0%}"
    until = duration(running.seconds_until_start_up_is(START_UP_SHARE))
    return [f"{summary.label}, {model}, start-up of {start_up:,.1f} s paid for: {each}; below {share} from {until} on"]


def _section_data(section: Section) -> dict[str, Any]:
    return {
        "workload": section.workload,
        "digest": section.digest,
        "precision": section.precision,
        "parameters": section.parameters,
        "tokens_per_step": section.tokens_per_step,
        "cases": [_case_data(case) for case in section.cases],
        "comparisons": [asdict(comparison) for comparison in section.comparisons],
        "circumstances": list(section.circumstances),
        "break_evens": [asdict(one) for one in section.break_evens],
        "thresholds": [asdict(check) for check in section.checks],
    }


def _case_data(case: PricedCase) -> dict[str, Any]:
    summary = case.summary
    return {
        "label": summary.label,
        "backend": summary.first.case.backend,
        "recipe": summary.first.case.recipe,
        "runs": [record.run_id for record in summary.records],
        "ranked_runs": [record.run_id for record in summary.ranked],
        "tokens_per_second": None if summary.throughput is None else asdict(summary.throughput),
        "unranked_tokens_per_second": summary.unranked_tokens_per_second,
        "step_seconds": summary.step_seconds,
        "cold_start_seconds": summary.cold_start_seconds,
        "warm_start_seconds": summary.warm_start_seconds,
        "peak_memory_bytes": summary.peak_memory_bytes,
        "utilisation": asdict(summary.utilisation),
        "energy": asdict(summary.energy),
        "instance": case.instance,
        "usd_per_million_tokens": {model: asdict(cost) for model, cost in case.costs.items()},
        "no_cost": dict(case.missing),
        "idle": case.idle,
        "gates": {name: dict(count) for name, count in summary.gate_counts.items()},
        "doubts": list(doubts(case)),
        "machine_seconds": case.machine_seconds,
        "problems": list(summary.problems),
    }


_ACTIVE = re.compile(r"[\\`*|]|\](?=[(\[:])")
"""What would end a cell, or make code, emphasis, links or images; brackets of an interval stay."""


def _escape(text: str) -> str:
    return _ACTIVE.sub(r"\\\g<0>", html.escape(plain(text), quote=False))
