"""What others have published about training speed, with their settings: numbers nobody measured here.

They are shown as `published`, or `derived` where the source gives seconds of a step or sequences a second. Two of them
are never matched runs: other days, scale, software and recipes. So they get a price and a break-even, and no verdict.
Source of each row: its ``source`` cell in ``data/anchors.csv``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from results.tables import DATA_DIRECTORY, Row, read_rows

COLUMNS = (
    "name",
    "work",
    "chip",
    "instance",
    "chips_per_instance",
    "chips",
    "precision",
    "sequence_length",
    "tokens_per_second_per_chip",
    "sequences_per_second",
    "tokens_per_step",
    "step_seconds",
    "settings",
    "source",
    "note",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One published result."""

    name: str
    work: str
    """Model, as its source calls it."""
    chip: str
    instance: str
    """AWS's machine with these chips; empty where there is none."""
    chips_per_instance: int
    chips: int
    """How many the result was made on."""
    precision: str
    sequence_length: int | None
    """None where the source does not say."""
    tokens_per_second_per_chip: float
    provenance: Literal["published", "derived"]
    derivation: str
    """The formula, where it is derived."""
    settings: str
    source: str
    note: str

    @property
    def tokens_per_second_per_instance(self) -> float:
        """As if an instance made its share of the whole: the result is of all its chips together."""
        return self.tokens_per_second_per_chip * self.chips_per_instance

    def same_work(self, other: "Anchor") -> bool:
        """Whether model, sequence and precision go by the same names, which is less than the same work."""
        return (self.work, self.sequence_length, self.precision) == (
            other.work,
            other.sequence_length,
            other.precision,
        )


def load_anchors(path: Path | None = None) -> tuple[Anchor, ...]:
    """Read a table of anchors; without a path, the shipped one.

    Raises:
        PriceError: a row does not fit, or gives its speed in no way or in several; names file and line.
    """
    rows = read_rows(path or DATA_DIRECTORY / "anchors.csv", COLUMNS)
    anchors = [_anchor(row) for row in rows]
    return tuple(anchors)


def find_anchor(name: str, anchors: Sequence[Anchor]) -> Anchor | None:
    """The anchor of that name."""
    return next((anchor for anchor in anchors if anchor.name == name), None)


def _anchor(row: Row) -> Anchor:
    speed, derivation = _speed(row)
    return Anchor(
        name=row.required("name"),
        work=row.required("work"),
        chip=row.required("chip"),
        instance=row.text("instance"),
        chips_per_instance=int(_needed(row, "chips_per_instance")),
        chips=int(_needed(row, "chips")),
        precision=row.required("precision"),
        sequence_length=row.count("sequence_length"),
        tokens_per_second_per_chip=speed,
        provenance="derived" if derivation else "published",
        derivation=derivation,
        settings=row.required("settings"),
        source=row.required("source"),
        note=row.text("note"),
    )


def _speed(row: Row) -> tuple[float, str]:
    """Tokens a second of one chip, and how it is derived if the source does not say it."""
    told = row.positive("tokens_per_second_per_chip")
    sequences = row.positive("sequences_per_second")
    step = row.positive("step_seconds")
    chips = _needed(row, "chips")
    if [told, sequences, step].count(None) != 2:
        ways = "tokens_per_second_per_chip, sequences_per_second, or tokens_per_step and step_seconds"
        raise row.error("the speed is given in no way, or in several", f"give one of: {ways}")
    if told is not None:
        return told, ""
    if sequences is not None:
        length = _needed(row, "sequence_length")
        return sequences * length / chips, f"{sequences:g} sequences/s x {length:g} / {chips:g} chips"
    assert step is not None
    tokens = _needed(row, "tokens_per_step")
    return tokens / step / chips, f"{tokens:,.0f} tokens / {step:g} s / {chips:g} chips"


def _needed(row: Row, column: str) -> float:
    value = row.positive(column)
    if value is None:
        raise row.error(f"{column} is empty", f"every row needs its {column}")
    return value
