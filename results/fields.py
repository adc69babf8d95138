"""What a record's fields may hold: bounded, so that no arithmetic on them overflows, and finite.

A bound is far beyond anything real; what is outside was written in another unit, or to do harm.
"""

import json
import math
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, FailFast, Field, JsonValue

LARGEST_COUNT = 2**63 - 1
LONGEST_SECONDS = 1e11
"""About 3000 years. The wall clock is below; in milliseconds it would be above."""
OVERLAP_SECONDS = 1e-6
"""By how much a window may seem to begin before the last one ends: more than rounding, less than a step."""


_NOT_FINITE = "holds NaN, Infinity or a number beyond reason"


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Refuse NaN and Infinity at any depth: they are no JSON, and no comparison with them holds."""
    try:
        json.dumps(values, allow_nan=False)
    except ValueError:
        raise ValueError(_NOT_FINITE) from None
    return values


def _finite_scalars(values: dict[str, Any]) -> dict[str, Any]:
    """The same of a table without tables in it, which a record may hold hundreds of."""
    if any(isinstance(value, float) and not math.isfinite(value) for value in values.values()):
        raise ValueError(_NOT_FINITE)
    return values


Text = Annotated[str, Field(max_length=4000)]
LongText = Annotated[str, Field(max_length=20000)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]
Timestamp = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?\+00:00$")
]

Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
Positive = Annotated[int, Field(gt=0, le=LARGEST_COUNT)]
Whole = Annotated[int, Field(ge=-LARGEST_COUNT, le=LARGEST_COUNT)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1e30, allow_inf_nan=False)]
"""A second."""
Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
WindowSeconds = Annotated[float, Field(ge=1e-9, le=LONGEST_SECONDS, allow_inf_nan=False)]

JsonTable = Annotated[dict[str, JsonValue], AfterValidator(_finite)]
ScalarTable = Annotated[dict[str, LongText | Whole | float | bool | None], AfterValidator(_finite_scalars)]

Item = TypeVar("Item")
Series = Annotated[tuple[Item, ...], FailFast()]
"""Checked up to the first wrong item: a hostile file can hold millions, and each would become a message."""
