"""What else two cases differ in beside what is compared: software, effort, variables. Said, never hidden."""

from collections.abc import Iterator
from typing import Any

from results.costs import PricedCase
from results.record import RunRecord
from results.summary import CaseSummary

EFFORT = ("track", "compile")
"""Fields of a recipe that say how much was done for a case; other differences are told within one backend."""


def circumstances(baseline: CaseSummary, case: CaseSummary) -> Iterator[str]:
    """One line for each kind of difference."""
    ours, theirs = case.first, baseline.first
    pair = f"{case.label} and {baseline.label}"
    if software := [*_software(ours, theirs)]:
        yield f"{pair} differ in software: {', '.join(software)}"
    if recipe := [*_recipe(ours, theirs)]:
        unmatched = any(line.startswith(EFFORT) for line in recipe)
        yield f"{'unmatched effort: ' if unmatched else ''}{pair} differ in {', '.join(recipe)}"
    variables = sorted(_differing(ours.environment.variables, theirs.environment.variables))
    if variables and ours.case.backend == theirs.case.backend:
        yield f"{pair} differ in variables: {', '.join(variables)}"


def _software(ours: RunRecord, theirs: RunRecord) -> Iterator[str]:
    mine, other = ours.environment, theirs.environment
    changes = [*_changes(other.packages, mine.packages)]
    yield from changes
    if not changes and mine.packages_sha256 != other.packages_sha256:
        yield "other installed packages"
    if mine.python != other.python:
        yield f"Python {other.python} -> {mine.python}"
    if mine.accelerator_driver != other.accelerator_driver:
        yield f"driver {other.accelerator_driver} -> {mine.accelerator_driver}"
    if mine.source_sha256 != other.source_sha256:
        yield "fairchip itself"


def _recipe(ours: RunRecord, theirs: RunRecord) -> Iterator[str]:
    mine, other = ours.case.recipe, theirs.case.recipe
    same_backend = ours.case.backend == theirs.case.backend
    for name in sorted(_differing(mine, other) - {"name", "environment", "tuning"}):
        if name in EFFORT or same_backend:
            yield f"{name} ({other.get(name)} -> {mine.get(name)})"


def _changes(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Versions of packages that both have."""
    for name in sorted(_differing(before, after) & before.keys() & after.keys()):
        yield f"{name} {before[name]} -> {after[name]}"


def _differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def tuning(case: PricedCase) -> Iterator[str]:
    """What was spent on finding a tuned recipe, and what it gained there."""
    found = case.summary.first.case.recipe.get("tuning")
    if isinstance(found, dict):
        get = found.get
        yield (
            f"{case.summary.label}: tuned on {get('machine')} on {get('day')}: {get('recipes_tried')} recipes tried in "
            f"{get('search_minutes')} minutes; a token cost {get('cost_ratio')} times "
            f"[{get('cost_ratio_low')}, {get('cost_ratio_high')}] as-is's in {get('rounds')} rounds"
        )


def doubts(case: PricedCase) -> Iterator[str]:
    """What about one case does not fit together: changed sources, a machine that is not what it is called."""
    environments = [record.environment for record in case.summary.records]
    if any(environment.source_modified for environment in environments):
        yield f"{case.summary.label}: measured with changed sources of fairchip"
    first, rented = environments[0], case.rented
    if rented is not None and rented.vcpus is not None and first.logical_cpus != rented.vcpus:
        count = f"{first.logical_cpus} processor{'s' * (first.logical_cpus != 1)}"
        yield f"{case.summary.label}: the machine has {count}, a {rented.name} has {rented.vcpus}: is it one?"
