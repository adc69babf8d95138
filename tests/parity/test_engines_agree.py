"""Float64: torch, jax and numpy compute the same thing; no line of either engine may differ."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Literal

import numpy as np
import pytest
from parity_workload import deviation, run_steps, small_workload

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")

from torch._inductor.async_compile import AsyncCompile  # noqa: E402
from torch._inductor.utils import fresh_cache, run_fw_bw_and_get_code  # noqa: E402

from backends.contract import Rank, StepLoss  # noqa: E402
from backends.engine_jax import JaxSession  # noqa: E402
from backends.engine_torch import TorchSession  # noqa: E402
from backends.recipe import Recipe, resolve  # noqa: E402
from workloads.data import batch_source  # noqa: E402
from workloads.models import causal_blocks_jax, causal_blocks_torch, llama_numpy  # noqa: E402
from workloads.models.llama_torch import ATTENTIONS, LOSSES  # noqa: E402
from workloads.parameters import as_dict  # noqa: E402
from workloads.spec import Workload  # noqa: E402

GPU_ONLY = ("sdpa-cudnn", "sdpa-efficient")
SDPA_IN_PARTS = Recipe(
    compile="parts", attention="sdpa-contiguous", loss="logsumexp", loss_part_tokens=24, rematerialise=True
)
float64_sdpa = pytest.mark.skipif(
    torch.__version__ < (2, 13), reason="before torch 2.13 the backward pass of compiled SDPA refuses float64 on a CPU"
)
AGAIN: tuple[Literal["between-products"], Literal[True]] = ("between-products", True)
"""What a recipe may have computed again."""
EAGER = Recipe(compile="off")
JITTED = Recipe(compile="whole")


@cache
def plain(session_class: type, *, tied_head: bool = False) -> list[StepLoss]:
    """What every recipe is held against: the engine as simply as it can, over all steps."""
    recipe = JITTED if session_class is JaxSession else EAGER
    return run_steps(session_class, small_workload(tied_head=tied_head), recipe)


@pytest.fixture
def ragged_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three blocks of causal attention even of a short sequence in float64, the last one shorter."""
    for module in (causal_blocks_jax, causal_blocks_torch):
        monkeypatch.setattr(module, "SMALLEST_BLOCK", 10)
    monkeypatch.setattr(causal_blocks_torch, "SMALLEST_BLOCK_BYTES", 80)


@pytest.fixture
def loops_left_out(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch.compile writes its loops, and they do nothing: g++ takes most of its time and tells nothing of the graph.

    Nothing that came of it is left to the tests that follow.
    """
    monkeypatch.setattr(AsyncCompile, "cpp_pybinding", lambda *_: lambda *_: None)
    with fresh_cache():
        yield
    torch.compiler.reset()


@pytest.mark.parametrize("tied_head", [False, True])
def test_twenty_steps_of_torch_and_jax(tied_head: bool) -> None:
    workload = small_workload(tied_head=tied_head)
    ours, theirs = plain(TorchSession, tied_head=tied_head), plain(JaxSession, tied_head=tied_head)
    assert deviation(ours, theirs) <= 1e-10
    assert ours[-1].loss < ours[0].loss
    assert ours[0].gradient_norm > workload.optimizer.clip_norm, "the clip must bite for this test to see it"


@pytest.mark.parametrize("tied_head", [False, True])
@pytest.mark.parametrize("session_class", [TorchSession, JaxSession])
def test_first_loss_is_numpys(session_class: type, tied_head: bool) -> None:
    workload = small_workload(tied_head=tied_head)
    batch = batch_source(workload)(0)
    true = llama_numpy.loss(workload.model, as_dict(workload.model, workload.seed), batch.inputs, batch.targets)
    first = plain(session_class, tied_head=tied_head)[0]
    assert abs(first.loss - true) <= 1e-12 * true


@pytest.mark.parametrize(
    "recipe",
    [
        *(Recipe(compile="off", attention=attention) for attention in ATTENTIONS if attention not in GPU_ONLY),
        *(Recipe(compile="off", loss=loss, loss_part_tokens=part) for loss in LOSSES for part in (None, 96, 7)),
        *(Recipe(compile="off", loss_part_tokens=10, micro_batch=1, rematerialise=again) for again in AGAIN),
        Recipe(compile="off", loss_part_tokens=10, micro_batch=1, update="one-pass"),
        pytest.param(SDPA_IN_PARTS, marks=float64_sdpa),
    ],
)
@pytest.mark.usefixtures("ragged_blocks")
def test_every_torch_recipe_is_the_same_mathematics(recipe: Recipe) -> None:
    """With a tied head, whose weight has gradients of two parts, wherever the model is cut."""
    tied = recipe.loss_part_tokens is not None
    steps = run_steps(TorchSession, small_workload(tied_head=tied), recipe, steps=5)
    assert deviation(steps, plain(TorchSession, tied_head=tied)[:5]) < 1e-10


@pytest.mark.usefixtures("loops_left_out")
@pytest.mark.parametrize(("update", "graphs"), [("default", 3), ("one-pass", 3 + 2 + 2)])
def test_parts_are_compiled_once_for_all_layers_and_steps(update: Literal["default", "one-pass"], graphs: int) -> None:
    """Embedding, tail, and one graph that both layers share; of norm and update one for layers, one for the rest."""
    workload = small_workload("fp32")
    recipe = resolve(Recipe(compile="parts", update=update), workload)
    with TorchSession(workload, recipe, "cpu", Rank()) as session:
        batches, before = batch_source(workload), session.compiled_graphs()
        for step in range(3):
            session.step(batches(step))
        assert session.compiled_graphs() - before == graphs


@pytest.mark.parametrize("attention", ["causal-blocks", "sdpa"])
@pytest.mark.usefixtures("ragged_blocks")
def test_every_jax_attention_is_the_same_mathematics(attention: str) -> None:
    """`jax.nn.dot_product_attention` computes its softmax in float32 whatever it is given, hence the tolerance."""
    limit = 1e-10 if attention == "causal-blocks" else 1e-5
    steps = run_steps(JaxSession, small_workload(), Recipe(attention=attention), steps=5)
    assert deviation(steps, plain(JaxSession)[:5]) < limit


@pytest.mark.parametrize(
    "recipe",
    [
        *(Recipe(loss="masked"), Recipe(loss_part_tokens=10), Recipe(compile="off")),
        *(Recipe(layers="scan"), Recipe(layers="scan", rematerialise=True, micro_batch=1)),
        *(Recipe(layers=layers, rematerialise="between-products") for layers in ("unrolled", "scan")),
        Recipe(attention="causal-blocks", rematerialise="between-products", loss_part_tokens=10, micro_batch=1),
    ],
)
@pytest.mark.usefixtures("ragged_blocks")
def test_every_jax_recipe_is_the_same_mathematics(recipe: Recipe) -> None:
    assert deviation(run_steps(JaxSession, small_workload(), recipe, steps=5), plain(JaxSession)[:5]) < 1e-10


@pytest.mark.parametrize("session_class", [TorchSession, JaxSession])
@pytest.mark.parametrize("change", [{"micro_batch": 1}, {"micro_batch": 2}, {"rematerialise": True}])
def test_recipes_do_not_change_mathematics(session_class: type, change: dict) -> None:
    recipe = Recipe(compile="whole" if session_class is JaxSession else "off", **change)
    assert deviation(run_steps(session_class, small_workload(), recipe), plain(session_class)) <= 1e-10


@pytest.mark.usefixtures("ragged_blocks")
@pytest.mark.parametrize(
    "change",
    [
        {
            "attention": "causal-blocks",
            "loss": "closed-form",
            "rematerialise": "between-products",
            "update": "one-pass",
        },
        {"compile_mode": "reduce-overhead", "micro_batch": 1},
    ],
)
def test_compiled_torch_is_eager_torch(change: dict) -> None:
    steps = run_steps(TorchSession, small_workload(), Recipe(compile="whole", **change))
    assert deviation(steps, plain(TorchSession)) <= 1e-10


@pytest.mark.usefixtures("ragged_blocks")
@pytest.mark.parametrize("compile_", ["off", "whole"])
def test_blocks_of_a_long_sequence_are_the_same_mathematics(
    compile_: Literal["off", "whole"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(causal_blocks_torch, "LONGEST_KEPT", 0)
    steps = run_steps(TorchSession, small_workload(), Recipe(compile=compile_, attention="causal-blocks"), steps=5)
    assert deviation(steps, plain(TorchSession)[:5]) < 1e-10


@pytest.mark.usefixtures("ragged_blocks", "loops_left_out")
@pytest.mark.parametrize(("longest_kept", "again"), [(1024, False), (0, True)], ids=["kept", "recomputed"])
def test_compiled_only_a_long_sequence_computes_its_weights_again(
    longest_kept: int, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the products of the backward pass: four of each of three blocks, and more where scores are computed again."""
    monkeypatch.setattr(causal_blocks_torch, "LONGEST_KEPT", longest_kept)
    monkeypatch.setattr(causal_blocks_torch, "SMALLEST_BLOCK_BYTES", 20)
    _, backward = _code(_one_layer(), Recipe(compile="whole", attention="causal-blocks"))
    needed, found = 4 * 3, backward.count("extern_kernels.bmm(")
    assert found > needed if again else found == needed


@pytest.mark.usefixtures("loops_left_out")
def test_compiled_between_products_no_product_is_computed_again_and_less_is_kept() -> None:
    """By the products of the backward pass, and by the tensors that it is given."""
    backward = [
        _code(_one_layer(), Recipe(compile="whole", attention="causal-blocks", rematerialise=again))[1]
        for again in (False, *AGAIN)
    ]
    nothing, between, layers = (len(re.findall(r"extern_kernels\.b?mm\(", code)) for code in backward)
    assert nothing == between < layers
    nothing, between, layers = (_given(code) for code in backward)
    assert nothing > between > layers


def _given(code: str) -> int:
    """Elements of the tensors that such code is called with."""
    shapes = re.findall(r"assert_size_stride\(\w+, \(([\d, ]*)\)", code)
    return sum(math.prod(int(side) for side in shape.split(",") if side.strip()) for shape in shapes)


@pytest.mark.parametrize("attention", GPU_ONLY)
def test_a_kernel_that_is_insisted_on_runs_or_fails(attention: str) -> None:
    """Nothing else takes its place unseen."""
    recipe = resolve(Recipe(compile="off", attention=attention), small_workload("fp32"))
    with TorchSession(small_workload("fp32"), recipe, "cpu", Rank()) as session:
        with pytest.raises(RuntimeError, match=r"No available kernel|No viable backend"):
            session.step(batch_source(small_workload("fp32"))(0))
        assert session.describe()["attention_kernel"] is None


@pytest.mark.parametrize(
    ("attention", "kernel"),
    [
        *((name, None) for name in ("product", "causal-blocks")),
        *((name, "flash attention") for name in ("sdpa", "sdpa-cudnn-first")),
    ],
)
def test_the_kernel_that_torch_chooses_is_told(attention: str, kernel: str | None) -> None:
    recipe = resolve(Recipe(compile="off", attention=attention), small_workload("fp32"))
    with TorchSession(small_workload("fp32"), recipe, "cpu", Rank()) as session:
        assert session.describe()["attention_kernel"] == kernel


@pytest.mark.parametrize(
    ("loss", "held"),
    [
        *((loss, ["bfloat16"]) for loss in ("cross-entropy", "closed-form", "masked")),
        ("logsumexp", ["bfloat16", "float32"]),
    ],
)
@pytest.mark.usefixtures("loops_left_out")
def test_compiled_the_scores_are_whole_once_and_never_in_float32(loss: str, held: list[str]) -> None:
    """By the memory that the code of torch's compiler asks for; the gather's backward pass is what needs float32."""
    workload = _one_layer()
    code = _code(workload, Recipe(compile="whole", attention="sdpa-master", loss=loss))
    asked = re.findall(r"empty_strided\w*\(\(([\d, ]+)\), \([\d, ]*\), torch\.(\w+)", "".join(code))
    sizes = [(math.prod(int(side) for side in shape.split(",") if side.strip()), dtype) for shape, dtype in asked]
    assert len(sizes) > 5
    scores = workload.tokens_per_step * workload.model.vocab_size
    assert sorted(dtype for size, dtype in sizes if size == scores) == held


def _one_layer() -> Workload:
    workload = small_workload("bf16-mixed")
    return replace(workload, model=replace(workload.model, layers=1))


def _code(workload: Workload, recipe: Recipe) -> list[str]:
    """What torch.compile writes for the forward pass and for the backward pass of a step."""
    with TorchSession(workload, resolve(recipe, workload), "cpu", Rank()) as session:
        ((inputs, targets),) = session._micro_batches(batch_source(workload)(0))
        _, code = run_fw_bw_and_get_code(lambda: session._loss(inputs, targets))
    return code


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
