"""Two trajectories: how far they go together, where they part, and what cannot be held against each other."""

import pytest
from builders import REFERENCE, STEPS, make_record

from results.errors import ComparisonError
from results.trajectories import part, parting_lines

TRUE = [5.5 * 0.98**step for step in range(STEPS)]


def bent(at: int, by: float) -> list[float | None]:
    """The true losses, from one step on off by a factor."""
    return [loss * (1 + by) if step >= at else loss for step, loss in enumerate(TRUE)]


def test_they_stay_together() -> None:
    parting = part([make_record()], [make_record(backend="jax-cpu", losses=bent(3, 4e-6))])
    assert parting.step is None
    assert parting.worst >= 3
    assert parting.limit == pytest.approx(2e-5), "each may be 1e-5 off float64"
    said = parting_lines(parting)
    assert "smoke fp32 on torch-cpu (as-is), timed run 1" in said[1]
    assert parting.together
    assert said[-1].startswith("TOGETHER over 20 steps, at most 4.0e-06 apart")


@pytest.mark.parametrize("at", [0, 7, 19])
def test_where_they_part_is_shown(at: int) -> None:
    parting = part([make_record(losses=bent(at, 1e-4))], [make_record(backend="jax-cpu")])
    assert parting.step == at
    said = parting_lines(parting)
    assert said[-1].startswith(f"PART at step {at}, by 1.0e-04 (limit 2.0e-05")
    (marked,) = [line for line in said if "<- part" in line]
    assert marked.split()[0] == str(at)
    assert all(len(line) <= 90 for line in said[4:-1])


def test_after_the_reference_nothing_is_held_against_anything() -> None:
    """Rounding grows into other trajectories in the end; the limits are derived for 20 steps."""
    assert part([make_record(losses=bent(20, 0.1))], [make_record(backend="jax-cpu")]).step is None


def test_one_record_is_held_against_float64() -> None:
    assert part([make_record()]).step is None
    assert part([make_record(losses=bent(5, 2e-5))]).step == 5
    assert parting_lines(part([make_record()]))[2] == "B  float64 reference"


def test_a_loss_that_is_no_number_parts() -> None:
    losses: list[float | None] = [*TRUE[:4], None, *TRUE[5:]]
    assert part([make_record(losses=losses)], [make_record(backend="jax-cpu")]).step == 4
    assert part([make_record()], [make_record(backend="jax-cpu", losses=losses)]).step == 4


def test_other_precision_is_allowed_its_own_tolerance() -> None:
    bf16 = make_record(
        case__precision="bf16-mixed",
        case__specification={"model": {"dim": 64}, "precision": "bf16-mixed"},
        reference__relative_tolerance=1e-3,
        losses=bent(2, 5e-4),
    )
    parting = part([bf16], [make_record()])
    assert parting.step is None
    assert parting.limit == pytest.approx(1e-3 + 1e-5)


def test_without_references_the_mutual_limit_of_the_looser_policy_holds() -> None:
    parting = part([make_record(reference=False)], [make_record(backend="jax-cpu")])
    assert parting.limit == 2e-5
    assert "without a reference" in parting.basis


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([make_record(measurement=None, status="failed", reason="x")], [make_record()], "A holds no run with losses"),
        ([make_record()], [make_record(backend="a"), make_record(backend="b")], "B holds 2 cases: smoke fp32 on a"),
        ([make_record()], [make_record(case__specification={"model": {"dim": 65}})], "they differ in model.dim"),
        ([make_record(reference=False)], None, "has no float64 reference"),
    ],
)
def test_what_cannot_be_compared_is_refused(ours: list, theirs: list | None, said: str) -> None:
    with pytest.raises(ComparisonError, match=said):
        part(ours, theirs)


def test_the_run_with_the_most_steps_speaks_for_its_case() -> None:
    short = make_record(losses=[*TRUE[:5]], round_=1)
    assert len(part([short, make_record()]).deviations) == len(REFERENCE["losses"])


def test_a_few_steps_show_nothing() -> None:
    """A cold start has one step, which any model of that size may share."""
    parting = part([make_record(losses=TRUE[:3])])
    assert not parting.together
    assert parting_lines(parting)[-1] == "UNKNOWN: only 3 of 20 steps are there to be compared"
