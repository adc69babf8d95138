"""The torch engine on the stand-in's cores: what a fault of the stack would do to numbers, and what stops it."""

import json
import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
from neuron_stand_in.build import NoCompiler
from neuron_stand_in.build import library as built_library
from neuron_stand_in.process import run, variables

pytest.importorskip("torch")

HERE = Path(__file__).parent
Train = Callable[..., dict]


@pytest.fixture(scope="module")
def train(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Runs train_on_neuron.py, with faults."""
    assert pytestconfig.cache is not None
    try:
        library = built_library(pytestconfig.cache.mkdir("neuron_stand_in"))
    except NoCompiler as error:
        pytest.skip(str(error))

    def training(*arguments: str, faults: tuple[str, ...] = ()) -> dict:
        found = variables(library, tmp_path_factory.mktemp("neff"), faults=faults)
        found["PYTHONPATH"] += f"{os.pathsep}{HERE.parent}"
        found |= {
            "TORCH_NEURONX_DYNAMO_DISABLE_CPU_AUTOCOPY": "1",
            "TORCH_NEURONX_DISABLE_FALLBACK_EXECUTION": "1",
        }
        told: dict = json.loads(run(found, str(HERE / "train_on_neuron.py"), *arguments).splitlines()[-1])
        return told

    return training


def apart(told: dict) -> float:
    """Largest relative difference of losses and gradient norms."""
    pairs = zip(chain(*told["cpu"]), chain(*told["neuron"]), strict=True)
    return max(abs(theirs - ours) / abs(theirs) for theirs, ours in pairs)


def test_a_compiler_that_gets_scaled_gradients_wrong_gets_ours_right(train: Train) -> None:
    """72 tokens: their mean would send 1/72 into the compiled backward; 1/64 goes in, and 64/72 is applied after it."""
    faults = ("corrupt-scaled-gradients",)
    assert apart(train("parts", "guarded", faults=faults)) < 1e-5
    assert apart(train("parts", "scaled", faults=faults)) > 1e-3, "without the guard the fault would be seen"


def test_token_ids_reach_the_device_as_int32(train: Train) -> None:
    told = train("parts", "guarded")
    assert apart(told) < 1e-5
    assert told["int64"]["moved to the device"] == 0
