"""Which Neuron stack is usable is found by files alone, and none of the look-alikes passes for the real one."""

import os
import sys
from pathlib import Path

import neuron_tree
import pytest

from backends.contract import Availability
from backends.errors import BackendError
from backends.neuron import native, probing
from backends.neuron.jax_platform import JaxNeuron
from backends.neuron.native import TorchNeuron
from backends.neuron.packages import INDEX
from backends.recipe import Recipe

WRONG = 'raise ImportError("WRONG PACKAGE. Please install the package from Neuron Repository")\n'
EXPLODES = 'raise SystemExit("nobody may import this to look for it")\n'


class Site:
    """A made-up site-packages folder that shadows the real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def package(self, distribution: str, version: str, source: str = EXPLODES, submodule: str = "") -> None:
        module = self.folder / distribution.replace("-", "_")
        (module / submodule).mkdir(parents=True)
        (module / "__init__.py").write_text(source)
        self.metadata(distribution, version)

    def metadata(self, distribution: str, version: str) -> None:
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Only what a test puts there is installed of Neuron."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Site(folder)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trn2.3xlarge with a compiler on PATH."""
    tools = tmp_path / "bin"
    neuron_tree.script(tools / "neuronx-cc", "exit 0")
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return neuron_tree.trn2_3xlarge(tmp_path / "root")


def probe(kind: type[TorchNeuron] | type[JaxNeuron], root: Path) -> Availability:
    """Of a machine below ``root``."""
    backend = kind()
    backend.root = root
    return backend.probe()


def native_torch(site: Site, version: str = "2.14.3.0") -> None:
    """TorchNeuron and its torch."""
    site.package("torch-neuronx", version, submodule="neuron_dynamo_backend")
    site.metadata("torch", "2.14.0")


def test_a_trainium2_is_four_devices_of_one_chip(root: Path, site: Site) -> None:
    native_torch(site)
    found = probe(TorchNeuron, root)
    assert found.available, found.reason
    assert (found.device_type, found.device_count, found.devices_per_chip) == ("neuron", 4, 4)
    assert found.process_per_device


@pytest.mark.parametrize(
    ("version", "source", "submodule", "said"),
    [
        ("1.0", WRONG, "neuron_dynamo_backend", "placeholder"),
        ("2.9.0.2.15.32035", EXPLODES, "xla_impl", "older package on torch-xla"),
        ("2.13.3.0", EXPLODES, "neuron_dynamo_backend", "is for torch 2.13, and torch is 2.14.0"),
    ],
)
def test_packages_of_the_same_name_do_not_pass(
    root: Path, site: Site, version: str, source: str, submodule: str, said: str
) -> None:
    site.package("torch-neuronx", version, source, submodule)
    site.metadata("torch", "2.14.0")
    found = probe(TorchNeuron, root)
    assert not found.available
    assert said in found.reason
    assert "pip.repos.neuron.amazonaws.com" in found.fix


def test_nothing_installed_is_said(root: Path, site: Site) -> None:
    site.metadata("torch", "2.14.0")
    assert probe(TorchNeuron, root).reason == "torch-neuronx is not installed"


def test_a_missing_compiler_is_said_before_anything_waits_for_it(
    root: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    native_torch(site)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    found = probe(TorchNeuron, root)
    assert not found.available
    assert "neuronx-cc" in found.reason


def test_a_compiler_beside_the_interpreter_is_put_on_path(
    root: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's interpreter may be called without activating the environment."""
    native_torch(site)
    beside = neuron_tree.script(tmp_path / "venv/bin/neuronx-cc", "exit 0").parent
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    assert probe(TorchNeuron, root).available
    variables = TorchNeuron().environment(Recipe(), tmp_path)
    assert variables["PATH"].split(os.pathsep)[0] == str(beside)


def test_a_compiler_of_the_environment_below_ours_is_found(
    root: Path, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our .venv stands on AWS's environment: it sees its packages, and not its programs."""
    native_torch(site)
    site.metadata("neuronx-cc", "2.28.7631.0")
    (site.folder / "neuronx_cc-2.28.7631.0.dist-info/RECORD").write_text("../vendor/bin/neuronx-cc,,\n")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert not probe(TorchNeuron, root).available
    folder = neuron_tree.script(tmp_path / "vendor/bin/neuronx-cc", "exit 0").parent
    assert probe(TorchNeuron, root).available
    assert TorchNeuron().environment(Recipe(), tmp_path)["PATH"].startswith(str(folder))


def test_trainium1_is_told_where_to_go(tmp_path: Path, site: Site) -> None:
    native_torch(site)
    found = probe(TorchNeuron, neuron_tree.trn1_2xlarge(tmp_path / "trn1"))
    assert not found.available
    assert "Trainium1" in found.reason
    assert "jax-neuron" in found.fix


@pytest.mark.parametrize("kind", [TorchNeuron, JaxNeuron])
def test_without_a_device_nothing_else_is_asked(kind: type[TorchNeuron], tmp_path: Path) -> None:
    assert "no Neuron device" in probe(kind, tmp_path).reason


def test_jax_on_trainium1_is_one_process_for_two_cores(tmp_path: Path, root: Path, site: Site) -> None:
    site.package("libneuronxla", "3.0.10135.0")
    site.metadata("jax", "0.10.0")
    found = probe(JaxNeuron, neuron_tree.trn1_2xlarge(tmp_path / "trn1"))
    assert found.available, found.reason
    assert (found.device_count, found.devices_per_chip, found.process_per_device) == (2, 2, False)


@pytest.mark.parametrize(("jax", "right"), [("0.6.2", False), ("0.7.0", True), ("0.10.2", True), ("0.12.0", False)])
def test_jax_has_to_be_one_that_the_plug_in_takes(root: Path, site: Site, jax: str, right: bool) -> None:
    site.package("libneuronxla", "3.0.10135.0")
    site.metadata("jax", jax)
    assert probe(JaxNeuron, root).available is right


def test_the_placeholder_of_jax_does_not_pass(root: Path, site: Site) -> None:
    site.package("libneuronxla", "1.0", WRONG)
    site.metadata("jax", "0.10.0")
    assert "placeholder" in probe(JaxNeuron, root).reason


def test_casts_fallbacks_and_copies_are_switched_off_in_words(tmp_path: Path) -> None:
    variables = TorchNeuron().environment(Recipe(environment={"OMP_NUM_THREADS": "2"}), tmp_path)
    assert variables["NEURON_CC_FLAGS"] == "--auto-cast=none"
    assert variables["TORCH_NEURONX_DISABLE_FALLBACK_EXECUTION"] == "1"
    assert variables["TORCH_NEURONX_DYNAMO_DISABLE_CPU_AUTOCOPY"] == "1"
    assert variables["NEURON_RT_STOCHASTIC_ROUNDING_EN"] == "0"
    assert variables["TORCH_DEVICE_BACKEND_AUTOLOAD"] == "1"
    assert variables["OMP_NUM_THREADS"] == "2"
    caches = [value for name, value in variables.items() if name.endswith(("_CACHE_DIR", "_CACHE_URL"))]
    assert len(caches) == 3
    assert all(value.startswith(str(tmp_path)) for value in caches)


def test_a_recipes_compiler_flags_stay_and_may_not_move_the_cache(tmp_path: Path) -> None:
    only = {"NEURON_CC_FLAGS": "-O1"}
    assert JaxNeuron().environment(Recipe(environment=only), tmp_path)["NEURON_CC_FLAGS"] == "-O1 --auto-cast=none"
    with pytest.raises(BackendError, match="cache_dir"):
        TorchNeuron().environment(Recipe(environment={"NEURON_CC_FLAGS": "--cache_dir=/x"}), tmp_path)


def test_jax_has_no_other_platform_to_fall_back_to(tmp_path: Path) -> None:
    variables = JaxNeuron().environment(Recipe(), tmp_path)
    assert variables["JAX_PLATFORMS"] == "neuron"
    assert variables["NEURON_RUN_TRIVIAL_COMPUTATION_ON_CPU"] == "0"
    assert variables["JAX_DEFAULT_PRNG_IMPL"] == "rbg"


def test_the_sdk_is_told_by_its_compiler_or_not_at_all(site: Site) -> None:
    assert probing.facts(None) == {"neuronx_cc_version": None, "neuron_sdk_version": None}
    site.metadata("neuronx-cc", "2.28.7631.0")
    assert probing.facts(None) == {"neuronx_cc_version": "2.28.7631.0", "neuron_sdk_version": "2.33"}


def test_the_install_lines_name_awss_index() -> None:
    assert INDEX in native.INSTALL


def test_a_recipe_cannot_change_how_many_cores_there_are(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="NEURON_LOGICAL_NC_CONFIG"):
        TorchNeuron().environment(Recipe(environment={"NEURON_LOGICAL_NC_CONFIG": "1"}), tmp_path)


def test_a_rank_may_wait_longer_for_another_than_the_runtime_allows(tmp_path: Path) -> None:
    for backend in (TorchNeuron(), JaxNeuron()):
        assert int(backend.environment(Recipe(), tmp_path)["NEURON_RT_EXEC_TIMEOUT"]) >= 7200
