"""The page as one file: no request, no library, and nothing that a record says can run.

Every text of a record is made plain and escaped. Beyond that, the page's own policy lets only its own two scripts run,
by their hashes, and lets nothing be loaded from anywhere.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from results.compare import DEFAULT_MARGIN, Section
from results.costs import PriceChoice
from results.files import write_atomically
from results.page.rows import published_rows
from results.page.view import section_view
from results.plain_text import plain
from results.prices import PURCHASE_MODELS

ORIGINS = {
    "measured": "by a run whose record is named below",
    "published": "by somebody else; their source is named; never in a verdict",
    "derived": "computed from measured numbers and a dated price",
    "projected": "what a longer run would cost, if nothing else changes",
}
"""Where a number comes from."""


def write_page(path: Path, sections: Sequence[Section], choice: PriceChoice, margin: float = DEFAULT_MARGIN) -> None:
    """Write the page whole or not at all; what was there is replaced at once.

    Raises:
        ModuleNotFoundError: jinja2 or vl-convert-python is not installed.
        PriceError: an unusable file of the reader's prices.
        OSError: the path cannot be written.
    """
    write_atomically(path, page(sections, choice, margin))


def page(sections: Sequence[Section], choice: PriceChoice, margin: float = DEFAULT_MARGIN, *, about: str = "") -> str:
    """The report as HTML; ``about`` is said under its heading. Raises: as `write_page`, but for OSError."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    views = [section_view(section, choice, margin) for section in sections]
    models = _models(sections)
    scripts = [_part("formulas.js"), _part("controls.js")]
    environment = Environment(
        autoescape=True, finalize=_plainly, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_part("page.html.jinja")).render(
        views=views,
        published=published_rows(models, choice),
        models=models,
        published_open=any(case.summary.first.case.device_type != "cpu" for one in sections for case in one.cases),
        origins=ORIGINS,
        as_of=choice.as_of,
        goodput=choice.goodput,
        margin=margin,
        about=about,
        style=Markup(_part("page.css")),
        scripts=[Markup(script) for script in scripts],
        hashes=" ".join(map(_hash, scripts)),
        data=Markup(embedded([view.live for view in views])),
        svg=Markup,
    )


def embedded(value: Any) -> str:
    """JSON that ends no script element, whatever its strings hold: what could is written as an escape of JSON."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _models(sections: Sequence[Section]) -> tuple[str, ...]:
    """Purchase models under which published results are priced: those that priced a case, else the usual."""
    used = {model for section in sections for case in section.cases for model in case.costs} - {"user", "owned"}
    return tuple(model for model in PURCHASE_MODELS if model in (used or {"on-demand", "capacity-block"}))


def _plainly(value: Any) -> Any:
    """What a template prints: strings that are not the page's own are made plain, then escaped."""
    return plain(value) if type(value) is str else value


def _part(name: str) -> str:
    return resources.files("results.page").joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
