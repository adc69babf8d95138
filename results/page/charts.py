"""The charts of a section, each with its text; where one cannot be drawn, the reason stands in its place."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from results.compare import BreakEven, Section
from results.costs import PricedCase
from results.page.drawing import DASHES, Chart, Spec, by_case, draw, quantity
from results.page.price_history import PriceStep
from results.page.rows import ends
from results.plain_text import plain
from results.record import RunRecord
from results.render import shown_model

Histories = Sequence[Mapping[str, tuple[PriceStep, ...]]]
"""Of each case, price steps by purchase model."""
ROW_HEIGHT = 56
"""Of one line of the forest."""
MOST_POINTS = 300
"""Of one line: more cannot be told apart."""
WIDEST_LINEAR = 8.0
"""Step times that differ by more are drawn on a logarithmic axis."""
MOST_WINDOWS = 600
"""Beyond these a run is drawn as its mean and its range."""
LINE = {"type": "line", "strokeWidth": 2, "interpolate": "linear"}


def labels(section: Section) -> list[str]:
    """Of the cases, as they may be shown."""
    return [plain(case.summary.label) for case in section.cases]


def is_measured(case: PricedCase) -> bool:
    """Whether its runs are of a device: what is simulated is in the table and in no chart of measurements."""
    return case.summary.first.provenance == "measured"


def shown(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[int, ...]:
    """Places of the cases that have a row."""
    drawn = {row["case"] for row in rows}
    return tuple(number for number, name in enumerate(names) if name in drawn)


def forest(section: Section) -> Chart:
    """Every cost ratio with its interval and the margin."""
    title = "Cost ratio to the baseline, with its 95 % interval"
    rows: list[Mapping[str, Any]] = [
        {
            "row": f"{plain(one.case)} against {plain(one.baseline)}, {plain(one.basis.partition(',')[0])}",
            "case": plain(one.case),
            "ratio": one.cost_ratio.estimate, "low": one.cost_ratio.low, "high": one.cost_ratio.high,
        }
        for one in section.comparisons if one.cost_ratio
    ]  # fmt: skip
    if not rows:
        return Chart(title=title, text="Not drawn: no two cases of this work can be compared.")
    margin = section.comparisons[0].margin
    points = [value for row in rows for value in (row["low"], row["high"], row["ratio"]) if value is not None]
    low, high = min(1 - 2 * margin, *points), max(1 + 2 * margin, *points)
    axis = quantity(
        "ratio", "times the baseline's cost per token", log=True, domain=[low * 0.98, high * 1.02], nice=False
    )
    place: Spec = {
        "field": "row",
        "type": "nominal",
        "title": None,
        "sort": None,
        "axis": {"labels": False, "grid": False},
    }
    name = {"align": "left", "baseline": "bottom", "dy": -8, "limit": 390, "x": 0}
    layers = [
        {"mark": {"type": "rect", "color": "var(--line)"}, "data": {"values": [{"a": 1 - margin, "b": 1 + margin}]},
         "encoding": {"x": axis | {"field": "a"}, "x2": {"field": "b"}}},
        {"mark": {"type": "rule", "strokeDash": [3, 3]}, "data": {"values": [{"a": 1}]},
         "encoding": {"x": axis | {"field": "a"}}},
        {"mark": {"type": "rule", "strokeWidth": 5},
         "encoding": {"y": place, "x": axis, "x2": {"field": "high"}, "color": by_case(labels(section))}
         | {"x": axis | {"field": "low"}}},
        {"mark": {"type": "point", "filled": True, "size": 110, "opacity": 1},
         "encoding": {"y": place, "x": axis, "color": by_case(labels(section))}},
        {"mark": {"type": "text", **name}, "encoding": {"y": place, "text": {"field": "row"}}},
    ]  # fmt: skip
    text = "; ".join(f"{row['row']}: {_told(row)}" for row in rows)
    return Chart(
        title=title,
        text=f"{text}. The grey band is the margin of {margin:.0%}.",
        svg=draw(layers, rows, ROW_HEIGHT * len(rows)),
    )


def _told(row: Mapping[str, Any]) -> str:
    if row["low"] is None:
        return f"{row['ratio']:.3f}, no interval"
    return f"{row['ratio']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def break_even_chart(section: Section, one: BreakEven, pair: int) -> Chart:
    """Cost ratio over price ratio: where it crosses 1 the two machines' tokens cost the same."""
    title = f"Cost per token against the price of the machine: {plain(one.case)} and {plain(one.baseline)}"
    tie, low, high = one.price_ratio.estimate, one.price_ratio.low, one.price_ratio.high
    marks: list[Mapping[str, Any]] = [
        {"x": tie * found.cost_ratio.estimate, "y": found.cost_ratio.estimate, "model": found.basis}
        for found in section.comparisons
        if (found.case, found.baseline) == (one.case, one.baseline) and found.cost_ratio
    ]
    reach = 1.2 * max(2.0, *(max(mark["y"], 1 / mark["y"]) for mark in marks)) if marks else 4.0
    left, right = tie / reach, tie * reach
    outside = 1.15 * max(1.0, tie / (low or tie), (high or tie) / tie)
    scale = {"x0": left, "x1": right, "y0": 1 / reach / outside, "y1": reach * outside}
    x = quantity("x", "its hour over the other's, price ratio", log=True, domain=[left, right], nice=False)
    y = quantity("y", "cost ratio of a token", log=True, domain=[scale["y0"], scale["y1"]], nice=False)
    number = labels(section).index(plain(one.case))
    side = f"var(--side-{number % 6})"
    margin = section.comparisons[0].margin
    band = [{"x": end, "low": end / (high or tie), "high": end / (low or tie), "y": end / tie} for end in (left, right)]
    layers = [
        {"mark": {"type": "rect", "color": "var(--line)"}, "data": {"values": [{"a": 1 - margin, "b": 1 + margin}]},
         "encoding": {"y": y | {"field": "a"}, "y2": {"field": "b"}}},
        {"mark": {"type": "area", "color": side, "opacity": 0.2},
         "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}},
        {"mark": LINE | {"color": side}, "encoding": {"x": x, "y": y}},
        {"mark": {"type": "rule", "strokeDash": [3, 3]}, "data": {"values": [{"a": tie}]},
         "encoding": {"x": x | {"field": "a"}}},
        {"mark": {"type": "point", "filled": True, "size": 70, "color": "var(--ink)", "opacity": 1},
         "data": {"values": marks}, "encoding": {"x": x, "y": y}},
        {"mark": {"type": "text", "align": "left", "dx": 8, "dy": 12}, "data": {"values": marks},
         "encoding": {"x": x, "y": y, "text": {"field": "model", "type": "nominal"}}},
    ]  # fmt: skip
    told = (f"Under {m['model']} the price ratio is {m['x']:.3f}, the cost ratio {m['y']:.3f}." for m in marks)
    text = (
        f"A token costs the same where an hour of {plain(one.case)}'s machine costs {ends(one.price_ratio)} times an "
        f"hour of {plain(one.baseline)}'s; the band is the 95 % interval."
    )
    return Chart(
        title=title,
        text=" ".join((text, *told)),
        cases=(labels(section).index(plain(one.case)),),
        svg=draw(layers, band),
        pair=pair,
        scale=scale,
    )


def price_chart(section: Section, histories: Histories, as_of: date) -> Chart:
    """What an hour of each machine cost over time, and the days on which the verdict flipped."""
    title = "Price of an hour over time"
    names = labels(section)
    known = [set(history) for history in histories if history]
    if not known:
        return Chart(title=title, text="Not drawn: no price history of these machines is in the price book.")
    models = sorted(set.intersection(*known) or set.union(*known))
    rows, seen = list[Mapping[str, Any]](), set[str]()
    for name, case, history in zip(names, section.cases, histories, strict=True):
        if case.instance in seen:
            continue
        seen.add(str(case.instance))
        for model in models:
            rows += _steps(name, model, history.get(model, ()), as_of)
    one_pair = len(section.break_evens) == 1
    flips = [
        {
            "day": day.day.isoformat(), "verdict": day.verdict * one_pair,
            "said": f"{plain(one.case)} {day.verdict} from {day.day}",
        }
        for one in section.break_evens for days in one.flips.values() for day in days[1:]
    ]  # fmt: skip
    time: Spec = {"field": "day", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": {"tickCount": 5}}
    dash: Spec = {
        "field": "model",
        "type": "nominal",
        "title": None,
        "scale": {"domain": models, "range": list(DASHES[: len(models)])},
    }
    if len(models) == 1:
        dash["legend"] = None
    usd = quantity("usd", f"USD per hour, {models[0]}" if len(models) == 1 else "USD per hour of the instance")
    layers: list[Spec] = [
        {"mark": LINE | {"interpolate": "step-after"},
         "encoding": {"x": time, "y": usd, "color": by_case(names), "strokeDash": dash}},
        {"mark": {"type": "point", "filled": True, "size": 30, "opacity": 1},
         "data": {"values": [row for row in rows if row["observed"]]},
         "encoding": {"x": time, "y": usd, "color": by_case(names)}},
    ]  # fmt: skip
    if flips:
        layers += [
            {"mark": {"type": "rule", "strokeDash": [3, 3]}, "data": {"values": flips}, "encoding": {"x": time}},
            {"mark": {"type": "text", "angle": 270, "align": "right", "dy": -7}, "data": {"values": flips},
             "encoding": {"x": time, "y": {"value": 0}, "text": {"field": "verdict"}}},
        ]  # fmt: skip
    said = "; ".join(dict.fromkeys(_price_told(rows, name, model) for name in names for model in models))
    told = ", ".join(flip["said"] for flip in flips)
    turned = f" Dashed, the verdict turned: {told}." if flips else " No day on which the verdict turned."
    text = said.strip("; ") + "." + (turned if section.break_evens else "")
    return Chart(title=title, text=text, cases=shown(names, rows), svg=draw(layers, rows), kind="published")


def _steps(name: str, model: str, steps: Sequence[PriceStep], as_of: date) -> Iterator[Mapping[str, Any]]:
    """Each step as a row at its first day and one at its last, so that a line ends where a gap begins."""
    last_days = [*(step.day for step in steps[1:]), as_of]
    for step, last in zip(steps, last_days, strict=False):
        row = {"case": name, "model": model, "usd": step.usd_per_hour}
        yield row | {"day": step.day.isoformat(), "observed": step.usd_per_hour is not None}
        yield row | {"day": last.isoformat(), "observed": False}


def _price_told(rows: Sequence[Mapping[str, Any]], name: str, model: str) -> str:
    mine = [row for row in rows if (row["case"], row["model"]) == (name, model) and row["usd"] is not None]
    if not mine:
        return ""
    first, last = mine[0], mine[-1]
    return f"{name}, {model}: {first['usd']:g} USD/h on {first['day']}, {last['usd']:g} on {last['day']}"


def step_chart(section: Section) -> Chart:
    """Step time of every window of every timed run."""
    title = "Step time over windows and runs"
    rows, names = list[Mapping[str, Any]](), labels(section)
    for name, case in zip(names, section.cases, strict=True):
        if not is_measured(case):
            continue
        timed = [record for record in case.summary.records if record.place.role == "timed"]
        rows += [row for number, record in enumerate(timed) for row in _windows(name, number, record)]
    if not rows:
        return Chart(title=title, text="Not drawn: no run was timed.", kind="measured")
    values = [row["ms"] for row in rows]
    most = max(row["whole"] for row in rows)
    x = quantity("run", "run, its windows from left to right", domain=[0.9, most + 0.9], nice=False)
    x["axis"] |= {"tickMinStep": 1, "format": "d"}
    wide: Spec = {"log": True, "domain": [min(values) * 0.8, max(values) * 1.25], "nice": False}
    y = quantity("ms", "milliseconds a step", **(wide if max(values) > WIDEST_LINEAR * min(values) else {}))
    if len(rows) <= MOST_WINDOWS:
        mark: Spec = {"type": "point", "filled": True, "size": 24, "opacity": 0.75}
        layers = [{"mark": mark, "encoding": {"x": x, "y": y, "color": by_case(names)}}]
    else:
        x = quantity("whole", "run: mean and range of its windows", domain=[0, most + 1], nice=False)
        span = {"y": y | {"aggregate": "min"}, "y2": {"field": "ms", "aggregate": "max"}}
        span |= {"x": x, "color": by_case(names)}
        layers = [
            {"mark": {"type": "rule", "opacity": 0.5}, "encoding": span},
            {"mark": {"type": "point", "filled": True, "size": 14, "opacity": 1},
             "encoding": {"x": x, "y": y | {"aggregate": "mean"}, "color": by_case(names)}},
        ]  # fmt: skip
    text = "; ".join(_range_told(name, [row["ms"] for row in rows if row["case"] == name]) for name in names)
    return Chart(title=title, text=f"{text}.", cases=shown(names, rows), svg=draw(layers, rows), kind="measured")


def _windows(name: str, number: int, record: RunRecord) -> Iterator[Mapping[str, Any]]:
    windows = record.measurement.windows if record.measurement else ()
    for place, window in enumerate(windows):
        at = number + 1 + 0.8 * place / len(windows)
        yield {"case": name, "run": at, "whole": number + 1, "ms": window.seconds / window.steps * 1e3}


def _range_told(name: str, values: Sequence[float]) -> str:
    if not values:
        return f"{name}: nothing measured"
    return f"{name}: {min(values):,.4g} to {max(values):,.4g} ms in {len(values)} windows"


def loss_chart(section: Section) -> Chart:
    """One run's losses of each case on top of one another."""
    title = "Loss, the cases on top of one another"
    rows, told, names = list[Mapping[str, Any]](), list[str](), labels(section)
    for name, case in zip(names, section.cases, strict=True):
        losses = _losses(case) if is_measured(case) else []
        rows += [{"case": name, "step": step, "loss": loss} for step, loss in losses]
        known = [loss for _, loss in losses if loss is not None]
        told.append(
            f"{name}: from {known[0]:.4g} to {known[-1]:.4g} nats a token" if known else f"{name}: nothing measured"
        )
    if not any(row["loss"] is not None for row in rows):
        return Chart(title=title, text="Not drawn: no run has losses.", kind="measured")
    y = {"x": quantity("step", "optimizer step"), "y": quantity("loss", "loss, nats a token"), "color": by_case(names)}
    first = [row for row in rows if row["case"] == names[0]]
    layers = [
        {"mark": LINE | {"strokeWidth": 6, "opacity": 0.5}, "data": {"values": first}, "encoding": y},
        {"mark": LINE, "encoding": y},
    ]
    text = "; ".join(told) + ". Lines on top of one another are the same training."
    svg = draw(layers, [row for row in rows if row["case"] != names[0]])
    return Chart(title=title, text=text, cases=shown(names, rows), svg=svg, kind="measured")


def _losses(case: PricedCase) -> list[tuple[int, float | None]]:
    """Of the run with the most steps, ranked ones first; thinned to what a line can show."""
    runs = [record.measurement for record in case.summary.ranked or case.summary.records if record.measurement]
    steps = max((run.steps for run in runs), key=len, default=())
    every = max(1, math.ceil(len(steps) / MOST_POINTS))
    return [(step.step, step.loss) for step in steps[::every]]


def run_length_chart(section: Section) -> Chart:
    """Cost per token over how long one runs: start-up is paid for."""
    title = "Cost per token against run length"
    model, names = shown_model(section), labels(section)
    rows, told = list[Mapping[str, Any]](), list[str]()
    for name, case in zip(names, section.cases, strict=True):
        summary = case.summary
        start_up = summary.cold_start_seconds or summary.warm_start_seconds
        if model is None or model not in case.costs or start_up is None:
            continue
        endless = case.costs[model].usd_per_million_tokens
        told.append(f"{name}: {endless:.4g} USD/Mtoken plus {start_up:,.1f} s of start-up")
        hours = [0.02 * 1.25**i for i in range(48)]
        rows += [
            {"case": name, "hours": hour, "usd": endless / (1 - start_up / 3600 / hour)}
            for hour in hours if start_up < 0.7 * 3600 * hour
        ]  # fmt: skip
    if not rows:
        reason = "no purchase model prices every case" if model is None else "no start-up was measured"
        return Chart(title=title, text=f"Not drawn: {reason}.", kind="projected")
    layers = [
        {"mark": dict(LINE), "encoding": {"x": quantity("hours", "rented hours", log=True),
         "y": quantity("usd", f"USD/Mtoken, {model}"), "color": by_case(names)}},
    ]  # fmt: skip
    return Chart(
        title=title, text="; ".join(told) + ".", cases=shown(names, rows), svg=draw(layers, rows), kind="projected"
    )
