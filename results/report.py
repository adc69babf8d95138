"""From records to the sections that every report is made of."""

from collections.abc import Mapping, Sequence

from results.compare import DEFAULT_MARGIN, Section, compare, group_cases, require_common_workload
from results.costs import PriceChoice, PricedCase, price_case
from results.record import RunRecord


def make_sections(
    sides: Mapping[str, Sequence[RunRecord]], choice: PriceChoice, margin: float = DEFAULT_MARGIN
) -> list[Section]:
    """One section a workload. Within one the first case is the baseline of all others.

    With several sides (folders that are compared) the baseline of a case is the first one of its backend,
    if that is another case.

    Raises:
        ComparisonError: sides without a common workload.
        PriceError: an unusable price or unknown instance.
    """
    require_common_workload(sides)
    priced: dict[str, list[PricedCase]] = {}
    for summary in group_cases(sides):
        priced.setdefault(summary.first.case.digest, []).append(price_case(summary, choice))
    return [_section(cases, margin, several_sides=len(sides) > 1) for cases in priced.values()]


def _section(cases: Sequence[PricedCase], margin: float, *, several_sides: bool) -> Section:
    case = cases[0].summary.first.case
    pairs = [(_baseline(cases, other) if several_sides else cases[0], other) for other in cases[1:]]
    return Section(
        workload=case.workload,
        digest=case.digest,
        tokens_per_step=case.tokens_per_step,
        parameters=case.parameters,
        precision=case.precision,
        cases=tuple(cases),
        comparisons=tuple(c for base, other in pairs for c in compare(base, other, margin)),
    )


def _baseline(cases: Sequence[PricedCase], case: PricedCase) -> PricedCase:
    """The first other case of the same backend, else the first case."""
    backend = case.summary.first.case.backend
    first = next(other for other in cases if other.summary.first.case.backend == backend)
    return first if first is not case else cases[0]
