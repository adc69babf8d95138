"""What jax's backward pass computes again, by the recipe: no product if not asked, and late enough to save memory."""

from functools import cache

import pytest

jax = pytest.importorskip("jax")

from parity_workload import small_workload  # noqa: E402

from backends.contract import Rank  # noqa: E402
from backends.engine_jax import JaxSession  # noqa: E402
from backends.recipe import Recipe, resolve  # noqa: E402
from workloads.catalog import find_workload  # noqa: E402
from workloads.data import batch_source  # noqa: E402
from workloads.models import rematerialise_jax  # noqa: E402
from workloads.spec import Workload  # noqa: E402

NOTHING, BETWEEN, LAYERS = False, "between-products", True
DEEP = find_workload("bytes-5m")


def test_between_products_no_product_is_computed_again() -> None:
    workload = small_workload("fp32")
    nothing, between, layers = (
        _lowered(again, workload).as_text().count("dot_general") for again in (NOTHING, BETWEEN, LAYERS)
    )
    assert nothing == between < layers


def test_what_is_computed_again_is_not_kept() -> None:
    """On a CPU, where XLA's own order of a program would compute it as soon as it can."""
    assert _temporary_bytes(BETWEEN) < 0.7 * _temporary_bytes(NOTHING)


@pytest.mark.skipif(jax.__version_info__ >= (0, 11, 1), reason="from jax 0.11.1 on its own checkpoint does as well")
def test_without_the_dependency_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the oldest jax that is supported has a checkpoint that does as well, ours can go."""

    def plain(layer, kept):
        return jax.checkpoint(layer, policy=jax.checkpoint_policies.save_only_these_names(*kept))

    monkeypatch.setattr("workloads.models.llama_jax.computed_again", plain)
    theirs = _temporary_bytes.__wrapped__(BETWEEN)
    monkeypatch.undo()
    assert theirs > 1.2 * _temporary_bytes(BETWEEN)


def test_weights_are_used_where_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that depended on the gradient would be copied."""
    parts = []
    only = rematerialise_jax._only

    def remembered(tree, wanted):
        parts.append(only(tree, wanted))
        return parts[-1]

    monkeypatch.setattr(rematerialise_jax, "_only", remembered)
    _lowered(BETWEEN, small_workload("fp32"))
    assert [len(jax.tree.leaves(given)) for given in parts[0::2]] == [9, 9], "all weights of both layers"


@cache
def _temporary_bytes(again: bool | str) -> int:
    return int(_lowered(again, DEEP).compile().memory_analysis().temp_size_in_bytes)


def _lowered(again: bool | str, workload: Workload):
    recipe = resolve(Recipe(attention="causal-blocks", rematerialise=again), workload)
    with JaxSession(workload, recipe, "cpu", Rank()) as session:
        batch = batch_source(workload)(0)
        return session._step.lower(
            session.parameters, session._moments, *session._micro_batches(batch), session._scalars(0)
        )
