"""Recipes are data; devices are recognised without a framework."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from backends import cuda, host
from backends.contract import Rank
from backends.errors import BackendError, Unavailable
from backends.recipe import Recipe, custom_recipe, load_recipe, resolve
from backends.registry import backend_entry_points, load_backend
from workloads.catalog import find_workload


@pytest.mark.parametrize("name", ["torch-cpu", "jax-cpu", "torch-cuda", "jax-cuda"])
def test_every_built_in_backend_ships_its_recipe_as_data(name: str) -> None:
    assert name in backend_entry_points()
    workload = find_workload("llama-3.2-1b-2k")
    recipe = load_backend(name).recipes(workload)["as-is"]
    assert (recipe.name, recipe.track) == ("as-is", "as-is")
    assert resolve(recipe, workload).micro_batch is not None


def test_the_micro_batch_is_the_largest_divisor_within_the_limit() -> None:
    workload = find_workload("llama-3.2-1b-2k")
    assert resolve(Recipe(micro_batch_tokens=16384), workload).micro_batch == 8
    assert resolve(Recipe(micro_batch_tokens=10000), workload).micro_batch == 4
    assert resolve(Recipe(micro_batch_tokens=1), workload).micro_batch == 1
    assert resolve(Recipe(), workload).micro_batch == 256
    assert resolve(Recipe(micro_batch_tokens=10000), workload, world_size=128).micro_batch == 2
    with pytest.raises(BackendError, match="does not divide"):
        resolve(Recipe(micro_batch=7), workload)
    with pytest.raises(BackendError, match="3 devices do not divide the global batch of 256 sequences"):
        resolve(Recipe(), workload, world_size=3)


@pytest.mark.parametrize(
    ("batch", "limit", "divisor"), [(12, 5, 4), (12, 12, 12), (7, 6, 1), (36, 35, 18), (2**24, 2**23, 2**23)]
)
def test_the_largest_divisor_is_found_whatever_the_batch(batch: int, limit: int, divisor: int) -> None:
    workload = replace(find_workload("smoke"), global_batch=batch, sequence_length=1)
    assert resolve(Recipe(micro_batch_tokens=limit), workload).micro_batch == divisor


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("colour = 1", "colour"),
        ("threads = '2'", "threads"),
        ("threads = 0", "threads is 0"),
        ("threads = 100000", "threads is 100000"),
        ("micro_batch = -1", "micro_batch is -1"),
        ("micro_batch = 1099511627776", "micro_batch is 1099511627776"),
        ("micro_batch_tokens = 0", "micro_batch_tokens is 0"),
        ("name = ''", "name is empty"),
        ('name = "two\\nlines"', "name .* unprintable"),
        (f"name = '{'x' * 101}'", "name has 101 characters"),
        ("compile = 'yes'", "compile"),
        ("environment = {'A=B' = 'c'}", "environment.A=B is no name of a variable"),
        ("environment = {'' = 'c'}", "no name of a variable"),
        ('environment = {A = "b\\u0000"}', "environment.A holds a NUL"),
        (f"environment = {{A = '{'x' * 10_001}'}}", "environment.A holds a NUL or is too long"),
        ("threads = nan", "threads"),
        ("a." * 1000 + "a = 1", "dots in line 1"),
        ("[", "not a recipe"),
    ],
)
def test_a_broken_recipe_is_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(content)
    with pytest.raises(BackendError, match=said):
        load_recipe(path)
    with pytest.raises(BackendError):
        load_recipe(tmp_path / "none.toml")


def test_a_users_recipe_never_poses_as_the_shipped_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("compile = 'off'")
    assert (custom_recipe(path).name, custom_recipe(path).track) == ("mine", "custom")


@pytest.mark.parametrize("engine", ["torch", "jax"])
def test_what_an_engine_does_not_implement_is_refused(engine: str) -> None:
    module = pytest.importorskip(f"backends.engine_{engine}", exc_type=ImportError)
    session = module.TorchSession if engine == "torch" else module.JaxSession
    workload = find_workload("smoke")
    with pytest.raises(BackendError, match="flash"):
        session(workload, resolve(Recipe(attention="flash"), workload), "cpu", Rank())


def test_gpus_are_counted_by_their_device_files(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).write_text("")
    assert cuda.gpu_count(tmp_path) == 2
    assert cuda.gpu_count(tmp_path / "none") == 0


def test_cuda_backends_say_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "gpu_count", lambda: 0)
    assert "no Nvidia GPU" in cuda.TorchCuda().probe().reason
    monkeypatch.setattr(cuda, "gpu_count", lambda: 1)
    monkeypatch.setattr(cuda, "_torch_has_cuda", lambda: False)
    found = cuda.TorchCuda().probe()
    assert not found.available
    assert found.fix


def test_tf32_is_off_and_no_other_platform_may_answer(tmp_path: Path) -> None:
    recipe = Recipe()
    assert cuda.TorchCuda().environment(recipe, tmp_path)["NVIDIA_TF32_OVERRIDE"] == "0"
    assert cuda.JaxCuda().environment(recipe, tmp_path)["JAX_PLATFORMS"] == "cuda"


def test_a_missing_compiler_makes_torch_eager_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    engine_torch = pytest.importorskip("backends.engine_torch", exc_type=ImportError)
    torch_device = importlib.import_module("backends.torch_device")
    monkeypatch.setattr(torch_device, "cxx_compiler", lambda: None)
    workload = find_workload("smoke")
    recipe = resolve(Recipe(compile="whole"), workload)
    with engine_torch.TorchSession(workload, recipe, "cpu", Rank()) as session:
        said = session.describe()
    assert said["compile"] == "off"
    assert "C++ compiler" in str(said["fallback"])


def test_the_compiler_is_found_by_name_or_by_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert host.cxx_compiler() is None
    compiler = tmp_path / "clang++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    assert host.cxx_compiler() == str(compiler)
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert host.cxx_compiler() is None


@pytest.mark.parametrize("engine", ["torch", "jax"])
def test_a_missing_device_is_unavailable_not_a_crash(engine: str) -> None:
    module = pytest.importorskip(f"backends.engine_{engine}", exc_type=ImportError)
    session = module.TorchSession if engine == "torch" else module.JaxSession
    if cuda.gpu_count():
        pytest.skip("this machine has the device")
    workload = replace(find_workload("smoke"))
    with pytest.raises(Unavailable):
        session(workload, resolve(Recipe(), workload), "cuda", Rank())


@pytest.mark.parametrize(
    ("cards", "attention"),
    [
        ([], "sdpa"),
        (["NVIDIA H200"], "sdpa-cudnn-first"),
        (["NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3"], "sdpa-cudnn-first"),
        (["NVIDIA A100-SXM4-80GB"], "sdpa"),
        (["NVIDIA B200"], "sdpa"),
        (["NVIDIA H100 PCIe", "NVIDIA L4"], "sdpa"),
    ],
)
def test_cudnns_attention_is_preferred_on_hopper_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cards: list[str], attention: str
) -> None:
    for number, model in enumerate(cards):
        folder = tmp_path / "proc/driver/nvidia/gpus" / f"0000:0{number}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t {model}\nDevice Minor: \t {number}\n")
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / f"nvidia{number}").write_text("")
    monkeypatch.setattr(cuda.TorchCuda, "root", tmp_path)
    workload = find_workload("llama-3.2-1b-2k")
    assert cuda.TorchCuda().recipes(workload)["as-is"].attention == attention
    exact = cuda.TorchCuda().recipes(replace(workload, precision="fp32"))["as-is"]
    assert exact.attention == "sdpa-repeated", "no fused kernel for float32 knows groups of heads"


def test_a_recipe_for_a_precision_goes_before_that_for_all() -> None:
    workload = find_workload("llama-3.2-1b-2k")
    assert cuda.JaxCuda().recipes(workload)["as-is"].attention == "sdpa-cudnn"
    assert cuda.JaxCuda().recipes(replace(workload, precision="fp32"))["as-is"].attention == "sdpa"


@pytest.mark.parametrize(
    ("engine", "change", "said"),
    [
        ("torch", {"layers": "scan"}, "torch has no layers 'scan'"),
        ("torch", {"compile": "off", "compile_mode": "max-autotune"}, "compile_mode without compile"),
        ("jax", {"compile_mode": "max-autotune"}, "compile_mode is torch.compile's"),
        ("jax", {"update": "one-pass"}, "update is torch's"),
    ],
)
def test_an_item_of_the_other_engine_is_refused(engine: str, change: dict, said: str) -> None:
    module = pytest.importorskip(f"backends.engine_{engine}", exc_type=ImportError)
    session = module.TorchSession if engine == "torch" else module.JaxSession
    workload = find_workload("smoke")
    with pytest.raises(BackendError, match=said):
        session(workload, resolve(Recipe(**change), workload), "cpu", Rank())


def test_torch_cpus_recipes_differ_in_their_update_alone() -> None:
    workload, torch_cpu = find_workload("smoke"), load_backend("torch-cpu")
    exact, mixed = (
        torch_cpu.recipes(replace(workload, precision=precision))["as-is"] for precision in ("fp32", "bf16-mixed")
    )
    assert mixed == replace(exact, update="one-pass") != exact


@pytest.mark.parametrize("sharding", ["optimizer", "all"])
def test_one_pass_over_shares_is_refused(sharding: Literal["optimizer", "all"]) -> None:
    engine = pytest.importorskip("backends.engine_torch", exc_type=ImportError)
    workload, recipe = find_workload("smoke"), Recipe(compile="off", update="one-pass", sharding=sharding)
    with pytest.raises(BackendError, match="'one-pass' needs whole parameters"):
        engine.TorchSession(workload, resolve(recipe, workload, 2), "cpu", Rank(world_size=2))
