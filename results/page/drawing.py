"""Charts as SVG: Vega-Lite, drawn here and now, so that the page holds no library and runs none.

Colours are the page's own variables and follow its theme.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Spec = dict[str, Any]

WIDTH, HEIGHT = 400, 220
"""Of the plot, without axes."""
DASHES = ([1, 0], [5, 3], [2, 2], [8, 3, 2, 3])
_CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)", "domain": False,
        "tickColor": "var(--line)", "labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal",
        "titlePadding": 8, "labelPadding": 6, "tickSize": 0,
    },
    "legend": {
        "labelColor": "var(--ink)", "titleColor": "var(--muted)", "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": "normal", "orient": "bottom", "direction": "vertical", "labelLimit": 380,
        "symbolStrokeWidth": 2.5,
    },
    "text": {"color": "var(--ink)", "fontSize": 13},
    "rule": {"color": "var(--muted)"},
}  # fmt: skip
_EMPTY = r'<path[^>]* d="(?:M0,0h0v0h0Z)?"[^>]*/>'
_NOISE = re.compile(r' (?:aria-[a-z]+|role|pointer-events|font-family|class)="[^"]*"|' + _EMPTY)
_PLACES = re.compile(r' (?:d|transform|[xy]2)="[^"]*"')
_LONG = re.compile(r"\d+\.\d{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One figure: what it shows in words, and the drawing, or why there is none."""

    title: str
    text: str
    """The chart in a sentence or two, for those who do not see it; or why it cannot be drawn."""
    svg: str = ""
    kind: str = "derived"
    """measured, derived or projected."""
    pair: int | None = None
    """Which pair of cases the live mark belongs to."""
    cases: tuple[int, ...] = ()
    """Places of the cases that it shows, for its key."""
    scale: Mapping[str, float] | None = None
    """Ends of both axes (logarithmic), where the page draws a live mark."""


def draw(layers: Sequence[Spec], values: Sequence[Mapping[str, Any]] = (), height: int = HEIGHT) -> str:
    """The SVG of these layers over these values; its size is its view box's, so that it fits where it is put.

    Raises:
        ModuleNotFoundError: vl-convert-python is not installed.
    """
    import vl_convert

    spec: Spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": WIDTH, "height": height, "padding": 4, "config": _CONFIG,
        "data": {"values": list(values)}, "layer": list(layers),
    }  # fmt: skip
    svg = vl_convert.vegalite_to_svg(spec)
    body = svg[svg.index(">") + 1 :]
    view = re.search(r'viewBox="([^"]*)"', svg)
    assert view is not None
    origin = re.search(r"translate\(([\d.]+),([\d.]+)\)", body)
    assert origin is not None
    short = _PLACES.sub(_rounded, _NOISE.sub("", body))
    place = f'data-x="{origin[1]}" data-y="{origin[2]}" data-width="{WIDTH}" data-height="{height}"'
    return f'<svg viewBox="{view[1]}" {place} aria-hidden="true">{short}'


def _rounded(places: re.Match[str]) -> str:
    return _LONG.sub(lambda number: f"{float(number[0]):.2f}", places[0])


def quantity(field: str, title: str, *, log: bool = False, **scale: Any) -> Spec:
    """An axis of numbers that need not begin at 0."""
    kind, axis = ({"type": "log"}, {"tickCount": 4}) if log else ({"zero": False}, {"tickCount": 6})
    return {"field": field, "type": "quantitative", "title": title, "axis": axis, "scale": kind | scale}


def by_case(labels: Sequence[str]) -> Spec:
    """The accent of each case, in the order of the section; the page writes the key."""
    spec: Spec = {"field": "case", "type": "nominal", "legend": None}
    spec["scale"] = {"domain": list(labels), "range": [f"var(--side-{i % 6})" for i in range(len(labels))]}
    return spec
