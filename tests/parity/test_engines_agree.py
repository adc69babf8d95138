"""Float64: torch, jax and numpy compute the same thing; no line of either engine may differ."""

import numpy as np
import pytest
from parity_workload import deviation, run_steps, small_workload

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

from backends.contract import Rank  # noqa: E402
from backends.engine_jax import JaxSession  # noqa: E402
from backends.engine_torch import TorchSession  # noqa: E402
from backends.recipe import Recipe, resolve  # noqa: E402
from workloads.data import batch_source  # noqa: E402
from workloads.models import llama_numpy  # noqa: E402
from workloads.models.llama_torch import ATTENTIONS, LOSSES  # noqa: E402
from workloads.parameters import as_dict  # noqa: E402

EAGER = Recipe(compile="off")
JITTED = Recipe(compile="whole")


@pytest.mark.parametrize("tied_head", [False, True])
def test_twenty_steps_of_torch_and_jax(tied_head: bool) -> None:
    workload = small_workload(tied_head=tied_head)
    ours, theirs = run_steps(TorchSession, workload, EAGER), run_steps(JaxSession, workload, JITTED)
    assert deviation(ours, theirs) <= 1e-10
    assert ours[-1].loss < ours[0].loss
    assert ours[0].gradient_norm > workload.optimizer.clip_norm, "the clip must bite for this test to see it"


@pytest.mark.parametrize("tied_head", [False, True])
@pytest.mark.parametrize("session_class", [TorchSession, JaxSession])
def test_first_loss_is_numpys(session_class: type, tied_head: bool) -> None:
    workload = small_workload(tied_head=tied_head)
    batch = batch_source(workload)(0)
    true = llama_numpy.loss(workload.model, as_dict(workload.model, workload.seed), batch.inputs, batch.targets)
    (first,) = run_steps(session_class, workload, EAGER, steps=1)
    assert abs(first.loss - true) <= 1e-12 * true


@pytest.mark.parametrize(
    "recipe",
    [
        *(Recipe(compile="off", attention=attention) for attention in ATTENTIONS),
        *(Recipe(compile="off", loss=loss, loss_part_tokens=part) for loss in LOSSES for part in (None, 96, 7)),
        Recipe(compile="off", loss_part_tokens=10, micro_batch=1, rematerialise=True),
        Recipe(compile="parts", attention="sdpa-contiguous", loss="logsumexp", loss_part_tokens=24, rematerialise=True),
    ],
)
def test_every_torch_recipe_is_the_same_mathematics(recipe: Recipe) -> None:
    """With a tied head, whose weight has gradients of two parts, wherever the model is cut."""
    workload = small_workload(tied_head=recipe.loss_part_tokens is not None)
    base = run_steps(TorchSession, workload, EAGER, steps=5)
    assert deviation(run_steps(TorchSession, workload, recipe, steps=5), base) < 1e-10


def test_parts_are_compiled_once_for_all_layers_and_steps() -> None:
    """Embedding, tail, and one graph that both layers share."""
    workload = small_workload("fp32")
    recipe = resolve(Recipe(compile="parts"), workload)
    with TorchSession(workload, recipe, "cpu", Rank()) as session:
        batches, before = batch_source(workload), session.compiled_graphs()
        for step in range(3):
            session.step(batches(step))
        assert session.compiled_graphs() - before == 3


@pytest.mark.parametrize("attention", ["product", "sdpa"])
def test_every_jax_attention_is_the_same_mathematics(attention: str) -> None:
    """`jax.nn.dot_product_attention` computes its softmax in float32 whatever it is given, hence the tolerance."""
    workload = small_workload()
    base = run_steps(JaxSession, workload, JITTED, steps=5)
    limit = 1e-10 if attention == "product" else 1e-5
    assert deviation(run_steps(JaxSession, workload, Recipe(attention=attention), steps=5), base) < limit


@pytest.mark.parametrize("recipe", [Recipe(loss="masked"), Recipe(loss_part_tokens=10), Recipe(compile="off")])
def test_every_jax_recipe_is_the_same_mathematics(recipe: Recipe) -> None:
    workload = small_workload()
    base = run_steps(JaxSession, workload, JITTED, steps=5)
    assert deviation(run_steps(JaxSession, workload, recipe, steps=5), base) < 1e-10


@pytest.mark.parametrize("session_class", [TorchSession, JaxSession])
@pytest.mark.parametrize("change", [{"micro_batch": 1}, {"micro_batch": 2}, {"rematerialise": True}])
def test_recipes_do_not_change_mathematics(session_class: type, change: dict) -> None:
    workload, compiled = small_workload(), "whole" if session_class is JaxSession else "off"
    base = run_steps(session_class, workload, Recipe(compile=compiled))
    assert deviation(run_steps(session_class, workload, Recipe(compile=compiled, **change)), base) <= 1e-10


def test_compiled_torch_is_eager_torch() -> None:
    workload = small_workload()
    base = run_steps(TorchSession, workload, EAGER)
    assert deviation(run_steps(TorchSession, workload, Recipe(compile="whole")), base) <= 1e-10


def test_gradients_agree_tensor_by_tensor() -> None:
    workload = small_workload()
    batch = batch_source(workload)(0)
    with JaxSession(workload, resolve(JITTED, workload), "cpu", Rank()) as session:
        theirs = {name: np.asarray(value) for name, value in session.gradients(batch).items()}
    with TorchSession(workload, resolve(EAGER, workload), "cpu", Rank()) as session:
        for inputs, targets in session._micro_batches(batch):
            session._forward_backward(inputs, targets)
        names = [name for name, _ in session.model.named_parameters()]
        ours = dict(zip(names, (g.numpy() for g in session.gradients()), strict=True))
    assert ours.keys() == theirs.keys()
    for name, mine in ours.items():
        assert np.abs(mine - theirs[name]).max() <= 1e-10 * np.abs(mine).max(), name
