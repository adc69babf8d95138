"""What AWS's plug-in for jax does not do, or gets wrong, is in no step that we jit, whatever the recipe."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from parity_workload import small_workload  # noqa: E402

from backends.contract import Rank  # noqa: E402
from backends.engine_jax import JaxSession  # noqa: E402
from backends.recipe import Recipe, resolve  # noqa: E402
from workloads.data import batch_source  # noqa: E402

# Source: AWS Neuron documentation, "JAX NeuronX known issues".
MISSING = ("random", "threefry", "cond", "while", "callback", "infeed", "outfeed")


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(loss="masked"),
        Recipe(loss="masked", loss_part_tokens=24, micro_batch=1, rematerialise=True),
        Recipe(attention="sdpa"),
    ],
)
def test_a_step_draws_branches_and_calls_back_nothing(recipe: Recipe) -> None:
    names, types = _of_step(recipe)
    assert "dot_general" in names
    assert not [name for name in names if any(missing in name for missing in MISSING)]
    assert not [kind for kind in types if kind.startswith(("complex", "int64", "float64", "float8"))]


def test_the_loss_without_a_gather_has_none_over_the_vocabulary() -> None:
    """One gather is left: the embedding's. Another stack on this compiler returned zeros for the loss's."""
    gathers = [sum(name == "gather" for name in _of_step(Recipe(loss=loss))[0]) for loss in ("cross-entropy", "masked")]
    assert gathers == [2, 1]


def _of_step(recipe: Recipe) -> tuple[list[str], set[str]]:
    """Names of all primitives of a step, also those inside others, and all types in it."""
    workload = small_workload("fp32")
    with JaxSession(workload, resolve(recipe, workload), "cpu", Rank()) as session:
        arguments = (*session._micro_batches(batch_source(workload)(0)), session._scalars(0).astype(np.float32))
        whole = jax.make_jaxpr(session._step)(session.parameters, session._moments, *arguments)
    names: list[str] = []
    types: set[str] = set()
    _walk(whole.jaxpr, names, types)
    return names, types


def _walk(jaxpr, names: list[str], types: set[str]) -> None:
    for equation in jaxpr.eqns:
        names.append(equation.primitive.name)
        types |= {str(value.aval.dtype) for value in equation.outvars if hasattr(value.aval, "dtype")}
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda one: hasattr(one, "eqns")):
            if hasattr(inner, "eqns"):
                _walk(inner, names, types)
