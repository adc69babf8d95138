"""From records to the sections that every report is made of."""

from collections.abc import Mapping, Sequence

from results.break_even import break_even
from results.circumstances import circumstances, tuning
from results.compare import DEFAULT_MARGIN, Section, compare, group_cases, require_comparable
from results.costs import PriceChoice, PricedCase, price_case
from results.errors import PriceError
from results.prices import load_price_book
from results.record import RunRecord
from results.summary import machine_key


def make_sections(
    sides: Mapping[str, Sequence[RunRecord]], choice: PriceChoice, margin: float = DEFAULT_MARGIN
) -> list[Section]:
    """One section a workload. Within one the first case is the baseline of all others.

    With several sides (folders that are compared) the baseline of a case is the first one before it of its
    backend and recipe.

    Raises:
        ComparisonError: sides without a common workload.
        PriceError: an unusable price or unknown instance.
    """
    require_comparable(sides)
    _require_one_machine_for_one_price(sides, choice)
    priced: dict[str, list[PricedCase]] = {}
    for summary in group_cases(sides):
        priced.setdefault(summary.first.case.digest, []).append(price_case(summary, choice))
    return [_section(cases, choice, margin, several_sides=len(sides) > 1) for cases in priced.values()]


def _require_one_machine_for_one_price(sides: Mapping[str, Sequence[RunRecord]], choice: PriceChoice) -> None:
    machines = {machine_key(record) for records in sides.values() for record in records}
    undetected = {machine_key(r) for records in sides.values() for r in records if not r.environment.instance.name}
    if choice.usd_per_hour is not None and len(machines) > 1:
        raise PriceError("one --usd-per-hour for several machines", "price them apart: report each side by itself")
    if choice.instance is not None and len(undetected) > 1:
        raise PriceError("one --instance for several unknown machines", "report each side by itself")


def _section(cases: Sequence[PricedCase], choice: PriceChoice, margin: float, *, several_sides: bool) -> Section:
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
        circumstances=(
            *(line for base, other in pairs for line in circumstances(base.summary, other.summary)),
            *(line for case in cases for line in tuning(case)),
        ),
        break_evens=tuple(found for pair in pairs if (found := break_even(*pair, load_price_book(), choice, margin))),
    )


def _baseline(cases: Sequence[PricedCase], case: PricedCase) -> PricedCase:
    """The first other case of the same backend and recipe, else of the same backend, else the first case."""

    def kind(other: PricedCase) -> tuple[str, object]:
        return other.summary.first.case.backend, other.summary.first.case.recipe.get("name")

    earlier = cases[: cases.index(case)]
    same_recipe = [other for other in earlier if kind(other) == kind(case)]
    same_backend = [other for other in earlier if kind(other)[0] == kind(case)[0]]
    return [*same_recipe, *same_backend, cases[0]][0]
