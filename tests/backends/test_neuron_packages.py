"""Which Neuron packages are there, from made-up site-packages; nothing of them may be imported to find out."""

import sys
from pathlib import Path

import neuron_tree as tree
import pytest

from backends.contract import Availability
from backends.errors import BackendError
from backends.neuron.packages import INDEX, is_placeholder, is_real, package_folder, torch_neuronx_kind
from backends.neuron.probing import AUTO_CAST, compiler_flags
from backends.neuron.xla_backend import SUPPORT, TorchXlaNeuron
from backends.recipe import Recipe

BOMB = "raise RuntimeError('imported')\n"
WRONG = 'raise ImportError("WRONG PACKAGE. Please install the package from Neuron Repository")\n'
XLA_VERSION, NATIVE_VERSION = "2.9.0.2.15.32035", "2.14.3.0"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty site-packages, the first that is looked at, and a PATH without Neuron's tools."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for name in ("NEURON_LOGICAL_NC_CONFIG", "NEURON_RT_VIRTUAL_CORE_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return folder


def install(site: Path, name: str, version: str, *parts: str, body: str = BOMB, folder: str | None = None) -> None:
    """A distribution with one package of these sub-packages, every module of which goes off when it is imported."""
    package = folder or name.replace("-", "_")
    files = {f"{package}/__init__.py": body} | {f"{package}/{part}/__init__.py": BOMB for part in parts}
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    record = "".join(f"{path},,\n" for path in files)
    about = {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", f"{info}/RECORD": record}
    tree.write(site, files | about)


def install_all(site: Path) -> None:
    """Everything that training on torch-xla needs but the compiler."""
    install(site, "torch-neuronx", XLA_VERSION, "xla")
    install(site, "torch-xla", "2.9.0")
    install(site, "libneuronxla", "2.2.0")


def install_compiler(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.script(root / "bin/neuronx-cc", "exit 0")
    monkeypatch.setenv("PATH", f"{root / 'bin'}:/usr/bin:/bin")


def test_nothing_installed(site: Path) -> None:
    assert torch_neuronx_kind() is None
    assert not is_placeholder("torch-neuronx")
    assert not is_real("libneuronxla")


def test_the_three_packages_of_one_import_name(site: Path) -> None:
    install(site, "torch-neuronx", XLA_VERSION, "xla")
    assert torch_neuronx_kind() == "xla"
    install(site, "torch-neuronx", NATIVE_VERSION, "neuron_dynamo_backend")
    assert torch_neuronx_kind() == "native"
    install(site, "torch-neuronx", "1.0", body=WRONG)
    assert torch_neuronx_kind() == "placeholder"
    assert not {"torch_neuronx", "torch_neuronx.neuron_dynamo_backend"} & sys.modules.keys()


def test_a_placeholder_in_a_folder_that_no_import_finds(site: Path) -> None:
    install(site, "neuronx-cc", "1.0.post1", body=WRONG, folder="neuronx-cc")
    assert is_placeholder("neuronx-cc")
    assert not is_real("neuronx-cc")


def test_a_real_package_and_the_folder_that_an_uninstalled_one_left(site: Path) -> None:
    install(site, "libneuronxla", "2.2.0")
    assert is_real("libneuronxla")
    tree.write(site, {"torch_neuronx/left_over.txt": ""})
    assert package_folder("torch_neuronx") is None
    assert torch_neuronx_kind() is None


def probed(root: Path) -> Availability:
    found = TorchXlaNeuron(root).probe()
    assert found.device_type == "neuron"
    assert "\n" not in found.reason + found.fix
    assert found.available or (found.reason and found.fix)
    return found


def test_what_is_missing_is_said_one_after_the_other(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    assert "no Neuron device" in probed(tmp_path / "empty").reason
    tree.trn2_3xlarge(root)
    assert "torch-neuronx (the 2.9 line" in probed(root).reason
    assert INDEX in probed(root).fix
    install(site, "torch-neuronx", "1.0", body=WRONG)
    assert "placeholder" in probed(root).reason
    install(site, "torch-neuronx", XLA_VERSION, "xla")
    assert "torch_xla is not installed" in probed(root).reason
    install(site, "torch-xla", "2.9.0")
    assert "libneuronxla" in probed(root).reason
    install(site, "libneuronxla", "1.0", body=WRONG)
    assert "libneuronxla, torch-xla's plug-in for Neuron, is AWS's placeholder" in probed(root).reason
    install(site, "libneuronxla", "2.2.0")
    assert "neuronx-cc is neither on PATH" in probed(root).reason
    install_compiler(root, monkeypatch)
    assert probed(root).available


def test_the_native_package_is_another_backends(site: Path, tmp_path: Path) -> None:
    install_all(site)
    install(site, "torch-neuronx", NATIVE_VERSION, "neuron_dynamo_backend")
    found = probed(tree.trn2_3xlarge(tmp_path / "root"))
    assert "native" in found.reason
    assert found.fix.startswith("in an environment of its own")


def test_devices_are_logical_cores_and_the_end_of_support_is_told(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_all(site)
    install_compiler(tmp_path, monkeypatch)
    one, many = probed(tree.trn1_2xlarge(tmp_path / "one")), probed(tree.trn2_48xlarge(tmp_path / "many"))
    assert (one.device_count, one.devices_per_chip) == (2, 2)
    assert (many.device_count, many.devices_per_chip) == (128, 8)
    assert one.note == many.note == SUPPORT
    unknown = probed(tree.devices(tmp_path / "trn3", [0], "Trainium3", "Trn3", "NDv4"))
    assert "logical cores" in unknown.reason


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("", AUTO_CAST),
        ("-O1 --model-type transformer", f"-O1 --model-type transformer {AUTO_CAST}"),
        (f"{AUTO_CAST} -O2", f"{AUTO_CAST} -O2"),
    ],
)
def test_the_compiler_is_always_told_to_cast_nothing(asked: str, given: str) -> None:
    assert compiler_flags(asked) == given


@pytest.mark.parametrize("asked", ["--auto-cast=all", "--auto-cast matmult", "--auto-cast-type=bf16", "--cache_dir=/x"])
def test_flags_that_change_precision_or_cache_are_refused(asked: str) -> None:
    with pytest.raises(BackendError):
        compiler_flags(asked)


def test_the_environment_is_neurons_and_exact(tmp_path: Path) -> None:
    recipe = Recipe(environment={"PJRT_DEVICE": "CPU", "XLA_USE_BF16": "1", "NEURON_CC_FLAGS": "-O1", "MINE": "1"})
    found = TorchXlaNeuron(tmp_path).environment(recipe, tmp_path / "cache")
    assert found["PJRT_DEVICE"] == "NEURON"
    assert found["NEURON_CC_FLAGS"] == f"-O1 {AUTO_CAST}"
    assert found["NEURON_COMPILE_CACHE_URL"].startswith(str(tmp_path / "cache"))
    assert {found[name] for name in ("XLA_USE_BF16", "XLA_DOWNCAST_BF16", "NEURON_RT_STOCHASTIC_ROUNDING_EN")} == {"0"}
    assert found["MINE"] == "1"


def test_the_list_tells_the_note(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from bench import doctor, listing

    ready = {"x": Availability(available=True, device_type="neuron", device_count=2, note=SUPPORT)}
    monkeypatch.setattr(listing, "availabilities", lambda: ready)
    monkeypatch.setattr(doctor, "availabilities", lambda: ready)
    listing.print_listing()
    assert "Neuron 2.30" in capsys.readouterr().out
    assert [fact.value for fact in doctor._backends()] == [f"ready; {SUPPORT}"]
