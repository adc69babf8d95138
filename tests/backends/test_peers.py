"""The peers train the same model on the same batches: their losses are ours, and no suite ever runs one."""

import importlib.util

import pytest

from backends.contract import Rank
from backends.recipe import Recipe
from backends.registry import availabilities, load_backend
from workloads.catalog import find_workload
from workloads.data import batch_source

SMOKE = find_workload("smoke")
STEPS = 4
PEERS = {
    "one-file-cpu": ("torch",),
    "transformers-cpu": ("transformers",),
    "torchtitan-cpu": ("torchtitan", "triton"),
    "flax-nnx-cpu": ("flax", "optax"),
}
"""By name, what each needs beside the frameworks."""


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_computes_what_we_do(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [package for package in PEERS[name] if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: make peers")
    if name != "flax-nnx-cpu":
        monkeypatch.setattr("torch.compile", lambda function, **settings: function)
        monkeypatch.setattr("torch.nn.Module.compile", lambda module, **settings: None)
    ours = _steps("torch-cpu", Recipe(compile="off"))
    theirs = _steps(name, load_backend(name).recipes(SMOKE)["as-is"])
    for own, other in zip(ours, theirs, strict=True):
        assert other.loss == pytest.approx(own.loss, rel=1e-5)
        assert other.gradient_norm == pytest.approx(own.gradient_norm, rel=1e-4)


def test_peers_are_run_by_name_alone() -> None:
    assert not set(PEERS) & set(availabilities())
    assert load_backend("one-file-cpu").probe().available
    assert load_backend("one-file-cuda").name == "one-file-cuda"


def test_a_peer_has_our_environment_or_none() -> None:
    recipes = load_backend("one-file-cpu").recipes(SMOKE)
    assert recipes["as-is"].environment == load_backend("torch-cpu").recipes(SMOKE)["as-is"].environment != {}
    assert recipes["as-shipped"].environment == {}


def test_a_missing_peer_says_how_it_would_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.peers.listing.find_spec", lambda name: None)
    found = load_backend("flax-nnx-cpu").probe()
    assert not found.available
    assert (found.reason, found.fix) == ("flax, optax not installed", "make peers")


def _steps(name: str, recipe: Recipe):
    batches = batch_source(SMOKE)
    with load_backend(name).open(SMOKE, recipe, Rank()) as session:
        for step in range(STEPS):
            session.step(batches(step))
        session.sync()
        return session.losses()
