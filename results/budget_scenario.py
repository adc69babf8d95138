"""A budget and what it buys, from a scenario file; every number is measured, published, derived or projected.

The sides come from published anchors, so no verdict is given: they are not matched runs.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from results.anchors import Anchor, find_anchor, load_anchors
from results.errors import PriceError
from results.files import read_text
from results.names import did_you_mean
from results.prices import PriceBook, PriceObservation, price_as_of
from results.training_bill import tokens_for

SCENARIOS = Path(__file__).with_name("data") / "scenarios"
LARGEST_FILE_BYTES = 2**20

Provenance = Literal["measured", "published", "derived", "projected"]
Usd = Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Assumption(_Strict):
    """One thing that is taken for granted."""

    what: str
    provenance: Provenance
    source: str


class Side(_Strict):
    """One choice."""

    name: str
    anchor: str
    """Name of a published result, whose throughput is taken."""


class Scenario(_Strict):
    """A question about money."""

    question: str
    budget_usd: Usd
    investment_usd: Usd | None = None
    """What the seller of the second side adds if it is chosen, worth as much as that part of the budget."""
    goodput: Annotated[float, Field(gt=0, le=1)]
    purchase_models: tuple[str, ...]
    sides: tuple[Side, Side]
    assumptions: tuple[Assumption, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What the whole budget buys of one side under one price."""

    side: str
    anchor: Anchor
    price: PriceObservation
    tokens: float
    usd_per_million_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Both sides under one purchase model, or why not."""

    purchase_model: str
    bought: tuple[Bought, ...]
    missing: str = ""

    @property
    def cost_ratio(self) -> float:
        """Cost per token of the second side over the first's."""
        first, second = self.bought
        return second.usd_per_million_tokens / first.usd_per_million_tokens


def scenario_names() -> tuple[str, ...]:
    """Those that ship, sorted."""
    return tuple(sorted(path.stem for path in SCENARIOS.glob("*.toml")))


def load_scenario(name_or_path: str) -> Scenario:
    """A shipped scenario by name, or a TOML file.

    Raises:
        PriceError: no such scenario, or a file that is none; names field and file.
    """
    import tomllib

    path = SCENARIOS / f"{name_or_path}.toml" if name_or_path in scenario_names() else Path(name_or_path)
    try:
        table = tomllib.loads(read_text(path, LARGEST_FILE_BYTES))
        return Scenario.model_validate_json(json.dumps(table, default=str))
    except OSError as error:
        hint = did_you_mean(name_or_path, scenario_names()) + " Or give the path of a TOML file"
        raise PriceError(f"no scenario {name_or_path!r}: {error.strerror or error}", hint) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the table"
        raise PriceError(f"{path}: {where}: {first['msg'].lower()}", "see docs/prices.md") from None
    except (ValueError, RecursionError) as error:
        raise PriceError(f"{path}: not a scenario: {error}", "see docs/prices.md") from None


def outcomes(scenario: Scenario, book: PriceBook, as_of: date, region: str | None = None) -> list[Outcome]:
    """One for each purchase model, in the scenario's order.

    Raises:
        PriceError: an anchor, instance or purchase model that does not exist.
    """
    return [_outcome(scenario, model, book, as_of, region) for model in scenario.purchase_models]


def _outcome(scenario: Scenario, model: str, book: PriceBook, as_of: date, region: str | None) -> Outcome:
    bought: list[Bought] = []
    for side in scenario.sides:
        anchor = _anchor(side)
        price = price_as_of(book, anchor.instance, model, as_of, region)
        if not isinstance(price, PriceObservation) or price.usd_per_hour is None:
            reason = "" if isinstance(price, PriceObservation) else price.reason
            return Outcome(purchase_model=model, bought=(), missing=reason)
        bought.append(_bought(scenario, side, anchor, price, price.usd_per_hour))
    return Outcome(purchase_model=model, bought=tuple(bought))


def _anchor(side: Side) -> Anchor:
    anchors = load_anchors()
    found = find_anchor(side.anchor, anchors)
    if found is None:
        names = [anchor.name for anchor in anchors]
        raise PriceError(f"side {side.name!r}: no anchor {side.anchor!r}", did_you_mean(side.anchor, names))
    if not found.instance:
        raise PriceError(f"side {side.name!r}: anchor {found.name!r} has no instance to price", "take another")
    return found


def _bought(scenario: Scenario, side: Side, anchor: Anchor, price: PriceObservation, usd_per_hour: float) -> Bought:
    speed = anchor.tokens_per_second_per_instance
    tokens = tokens_for(scenario.budget_usd, speed, usd_per_hour, scenario.goodput)
    return Bought(
        side=side.name,
        anchor=anchor,
        price=price,
        tokens=tokens,
        usd_per_million_tokens=scenario.budget_usd / tokens * 1e6,
    )


def affordable_disadvantage(budget_usd: float, investment_usd: float) -> float:
    """Share by which a token may cost more on the second side until the investment is used up: I / B.

    The tokens that B buys on the first side cost B r on the second, of which the buyer pays B r - I.
    """
    return investment_usd / budget_usd
