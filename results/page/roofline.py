"""What a step reaches of what its device reaches: a roofline, where somebody probed the device.

No record counts the bytes that a step moves, so a step is a height and no point: a line that begins where the roof
allows that height.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from results.compare import Section
from results.costs import PricedCase
from results.gates import achieved_flops
from results.page.charts import LINE, labels, shown
from results.page.drawing import Chart, Spec, by_case, draw, quantity

TITLE = "Roofline: what a step reaches of what its device reaches"
TERA = 1e12
WIDEST = 1000.0
"""Of the drawn axis, over the intensity of its edge."""


def roofline(section: Section) -> Chart:
    """Roof by probe, and the step's FLOP/s a device under the headline convention."""
    rows, told = list[Mapping[str, Any]](), list[str]()
    for name, case in zip(labels(section), section.cases, strict=True):
        if (height := _step_flops(case)) is None:
            continue
        rows += [{**row, "case": name} for row in _case_rows(case, height)]
        told.append(f"{name}: {_said(case, height)}")
    if not rows:
        return Chart(title=TITLE, text="Not drawn: no device was probed in the boot that measured (fairchip probe).")
    x = quantity("intensity", "FLOP per byte moved", log=True)
    y = quantity("tflops", "TFLOP/s of one device", log=True)
    dash: Spec = {
        "field": "what", "type": "nominal", "title": None,
        "scale": {"domain": ["roof, probed", "step, measured"], "range": [[1, 0], [5, 3]]},
    }  # fmt: skip
    colour = by_case(labels(section))
    layers = [{"mark": dict(LINE), "encoding": {"x": x, "y": y, "color": colour, "strokeDash": dash}}]
    text = "; ".join(told) + ". No record counts the bytes of a step: it may lie anywhere on its dashed line."
    return Chart(title=TITLE, text=text, cases=shown(labels(section), rows), svg=draw(layers, rows))


def _step_flops(case: PricedCase) -> float | None:
    """FLOP/s of one device in the first ranked run's windows; a processor is one device."""
    record = next(iter(case.summary.ranked), None)
    if record is None or record.achievable is None:
        return None
    return achieved_flops(record) / (1 if record.case.device_type == "cpu" else record.case.world_size)


def _case_rows(case: PricedCase, height: float) -> Iterator[Mapping[str, Any]]:
    probe = case.summary.ranked[0].achievable
    assert probe is not None
    roof, slope = probe.product_flops_per_second, probe.copy_bytes_per_second
    edge = roof / slope
    for intensity in (edge / WIDEST, edge, edge * WIDEST):
        tflops = min(roof, slope * intensity) / TERA
        yield {"what": "roof, probed", "intensity": intensity, "tflops": tflops}
    for intensity in (height / slope, edge * WIDEST):
        yield {"what": "step, measured", "intensity": intensity, "tflops": height / TERA}


def _said(case: PricedCase, height: float) -> str:
    probe = case.summary.ranked[0].achievable
    assert probe is not None
    roof = probe.product_flops_per_second
    return f"{height / TERA:.3g} of {roof / TERA:.3g} TFLOP/s that products alone reach, {height / roof:.1%}"
