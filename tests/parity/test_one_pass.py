"""The update in one pass where operands are narrower than master values: what is held in which type, and to the bit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from parity_workload import small_workload

torch = pytest.importorskip("torch")

from backends.contract import Rank  # noqa: E402
from backends.engine_torch import TorchSession  # noqa: E402
from backends.recipe import Recipe, resolve  # noqa: E402
from workloads.data import batch_source  # noqa: E402

WORKLOAD = small_workload("bf16-mixed")


@contextmanager
def session_of(*, tied_head: bool = False, **change: Any) -> Iterator[TorchSession]:
    """An eager session of the small workload in bf16-mixed."""
    workload = small_workload("bf16-mixed", tied_head=tied_head)
    recipe = resolve(Recipe(compile="off", **change), workload)
    with TorchSession(workload, recipe, "cpu", Rank()) as session:
        yield session


def masters(session: TorchSession) -> Mapping[str, torch.Tensor]:
    """The values that are trained, by parameter."""
    state = session.optimizer.state
    return {name: state[p].get("master", p.detach()) for name, p in session.model.named_parameters()}


def gradients(session: TorchSession) -> list[torch.Tensor]:
    """The first batch's."""
    ((inputs, targets),) = session._micro_batches(batch_source(WORKLOAD)(0))
    session._forward_backward(inputs, targets)
    return session.gradients()


def test_gradients_are_the_same_numbers_as_those_that_were_cast() -> None:
    with session_of() as cast, session_of(update="one-pass") as narrow:
        pairs = list(zip(gradients(cast), gradients(narrow), strict=True))
    assert all(torch.equal(theirs, ours) and ours.dtype == torch.float32 for theirs, ours in pairs)
    assert len(pairs) == 2 * 9 + 3


def test_an_update_is_that_of_torchs_fused_adamw() -> None:
    """From the same gradients: later ones differ by the roundings of weights that lie between two operands."""
    with session_of() as fused, session_of(update="one-pass") as one_pass:
        before = {name: value.clone() for name, value in masters(one_pass).items()}
        for session in (fused, one_pass):
            session.step(batch_source(WORKLOAD)(0))
        for (name, true), ours in zip(masters(fused).items(), masters(one_pass).values(), strict=True):
            moved = (true - before[name]).abs().max()
            assert moved > 0
            assert (ours - true).abs().max() <= 1e-3 * moved, name


def test_weights_of_products_are_the_rounded_master_values() -> None:
    with session_of(update="one-pass") as session:
        for step in range(3):
            session.step(batch_source(WORKLOAD)(step))
        for name, parameter in session.model.named_parameters():
            held, master = parameter.detach(), masters(session)[name]
            assert master.dtype == torch.float32
            assert held.dtype == (torch.bfloat16 if "proj" in name or "head" in name else torch.float32), name
            assert torch.equal(held, master.to(held.dtype)), name


@pytest.mark.parametrize(
    ("change", "narrow"),
    [
        ({}, 2 * 7 + 1),
        ({"loss_part_tokens": 24}, 2 * 7),
        ({"tied_head": True}, 2 * 7),
        ({"micro_batch": 2}, 0),
        ({"products": "master"}, 0),
    ],
    ids=["head and layers", "the head's is summed over parts", "the head is the table", "sums", "float32 products"],
)
def test_only_a_gradient_of_one_product_is_narrow(change: dict[str, Any], narrow: int) -> None:
    with session_of(update="one-pass", **change) as session:
        types = [parameter.dtype for parameter in session.model.parameters()]
    assert types.count(torch.bfloat16) == narrow


def test_a_part_without_gradients_keeps_its_values() -> None:
    with session_of(update="one-pass") as session:
        for parameter in session.model.model.layers[0].parameters():
            parameter.requires_grad_(requires_grad=False)
        before = {name: value.clone() for name, value in masters(session).items()}
        session.step(batch_source(WORKLOAD)(0))
        same = {name for name, value in masters(session).items() if torch.equal(value, before[name])}
    assert same == {name for name in before if name.startswith("model.layers.0.")}
