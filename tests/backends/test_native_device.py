"""The torch engine on the stand-in's cores: what a fault of the stack would do to numbers, and what stops it."""

import json
import os
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path

import neuron_tree
import pytest
from neuron_stand_in.process import built, run, variables
from parity_workload import run_steps, small_workload

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

from backends.contract import Rank  # noqa: E402
from backends.engine_torch import TorchSession  # noqa: E402
from backends.neuron import native_device  # noqa: E402
from backends.recipe import Recipe  # noqa: E402
from workloads.models import llama_torch  # noqa: E402

HERE = Path(__file__).parent
Train = Callable[..., dict]


@pytest.fixture(scope="module")
def library() -> Path:
    """The compiled stand-in."""
    return built()


@pytest.fixture
def machine_of(library: Path) -> Callable[..., dict]:
    """Runs ask_native_device.py on a trn2.3xlarge below a folder."""

    def asking(folder: Path, **settings: object) -> dict:
        found = variables(library, folder / "neff", **settings)
        found["PYTHONPATH"] += f"{os.pathsep}{HERE.parent}"
        found["MACHINE"] = str(neuron_tree.trn2_3xlarge(folder / "machine"))
        told: dict = json.loads(run(found, str(HERE / "ask_native_device.py")).splitlines()[-1])
        return told

    return asking


@pytest.fixture(scope="module")
def train(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Runs train_on_neuron.py, with faults."""

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
    guarded = train("parts", "guarded", faults=faults)
    assert apart(guarded) < 1e-5
    assert guarded["int64"]["moved to the device"] == 0, "token ids are int32"
    assert apart(train("parts", "scaled", faults=faults)) > 1e-3, "without the guard the fault would be seen"


def test_what_the_device_says_and_refuses(machine_of: Callable[..., dict], tmp_path: Path) -> None:
    """Slow operations: a peak that is read before they are done would not have the last ones in it."""
    said = machine_of(tmp_path, op_seconds=0.02)
    assert said["three cores"] == "3 cores cannot work together"
    assert "neuronx-cc" in said["no compiler"]
    assert said["device"] == "neuron", "each process knows its core by no number"
    assert said["near"] == [[0, 1, 2, 3, 4, 5, 6, 7]] * 2, "what it may use of the chip's 0-11"
    assert said["visible cores"] == "0", "the other cores stay free"
    assert said["memory of a core"] == 24 * 2**30
    assert said["automatic shapes"] is False
    assert said["peak"] >= 2 * 4 * 2**22


@pytest.mark.parametrize(
    ("stats", "peak"),
    [
        ({"allocated_bytes": {"current": 1, "peak": 7}}, 7),
        ({"allocated_bytes.all.current": 1, "allocated_bytes.all.peak": 7}, 7),
        ({}, 0),
    ],
)
def test_both_shapes_of_memory_statistics_are_read(stats: dict, peak: int) -> None:
    assert native_device._peak_of(stats) == peak


def test_processor_lists_are_the_kernels() -> None:
    assert native_device.cpu_numbers("0-2,8") == {0, 1, 2, 8}
    assert native_device.cpu_numbers("") == set()


@pytest.mark.parametrize(("visible", "cores"), [("", [0, 1]), ("4-7", [4, 5]), ("6,2", [2, 6]), ("3", [3, 1])])
def test_each_rank_takes_one_of_the_cores_that_the_user_lets_us_see(
    visible: str, cores: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", visible)
    assert [native_device.own_core(Rank(world_size=2, index=rank, local_index=rank)) for rank in range(2)] == cores


def test_heads_are_adjacent_in_memory_where_the_compiler_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    workload, seen = small_workload("fp32"), []
    attention = torch.nn.functional.scaled_dot_product_attention

    def noting(*heads: torch.Tensor, **options: bool) -> torch.Tensor:
        seen.append(all(part.is_contiguous() for part in heads))
        return attention(*heads, **options)

    monkeypatch.setattr(llama_torch.F, "scaled_dot_product_attention", noting)
    for kind in ("sdpa", "sdpa-contiguous"):
        run_steps(TorchSession, workload, Recipe(compile="off", attention=kind), steps=1)
    assert seen == [False] * workload.model.layers + [True] * workload.model.layers


def test_rotary_embedding_takes_no_strided_slices() -> None:
    """Every second element lowers to code that is 60 times slower (third-party report on trn2); halves do not."""
    heads, table = torch.ones(1, 2, 4, 8), torch.ones(4, 4)
    rotate = partial(llama_torch.rotate, result=torch.float32)
    graph = make_fx(rotate)(heads, table, table).graph
    slices = [node for node in graph.nodes if node.target == torch.ops.aten.slice.Tensor]
    assert all(len(node.args) < 5 or node.args[4] == 1 for node in slices)
    assert not [node for node in graph.nodes if "scatter" in str(node.target) or "copy" in str(node.target)]
