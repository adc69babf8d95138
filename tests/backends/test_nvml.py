"""The real nvidia-ml-py on a library that answers from a file: what a card tells, refuses, or never had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from nvml_cards import H200, build_nvml, write_cards

from backends.nvml import samplers, visible_devices

ASK = """
import json, sys
from backends.nvml import samplers
visible = sys.argv[2] if len(sys.argv) > 2 else None
found = samplers(int(sys.argv[1]), visible)
print(json.dumps({one.name: [one.read(), one.read()] for one in found}))
for one in found: one.close()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nvml(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def ask(library: Path, tmp_path: Path):
    """What the samplers of so many cards read, twice, in a process that finds the library."""

    def told(*cards: dict[str, str], count: int = 1, visible: str | None = None, **of_all: str) -> dict[str, list]:
        answers = write_cards(tmp_path / "answers", *cards, **of_all)
        environment = {**os.environ, "LD_LIBRARY_PATH": str(library), "RECORDED_NVML": str(answers)}
        environment.pop("CUDA_VISIBLE_DEVICES", None)
        arguments = [str(count), *([] if visible is None else [visible])]
        done = subprocess.run(
            [sys.executable, "-c", ASK, *arguments], env=environment, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    return told


def test_a_healthy_card_tells_everything(ask) -> None:
    first, second = ask(H200)["nvml-0"]
    assert "missing" not in first
    assert second["energy_joules"] >= first["energy_joules"] > 1e9
    wanted = {"power_watts": 612.345, "power_limit_watts": 700.0, "default_power_limit_watts": 700.0}
    wanted |= {"clock_mhz": 1980.0, "memory_clock_mhz": 3201.0, "temperature_celsius": 55.0}
    wanted |= {"throttled": 0.0, "power_capped": 0.0, "processes": 1.0, "sliced": 0.0, "device_index": 0.0}
    assert wanted.items() <= first.items()


@pytest.mark.parametrize(
    ("bits", "throttled", "capped"),
    [
        ("0x1", 0.0, 0.0),  # idle
        ("0x4", 0.0, 1.0),  # the card's own power limit: healthy work
        ("0x8", 1.0, 0.0),  # hardware slowdown
        ("0x20", 1.0, 0.0),  # software's thermal slowdown
        ("0x40", 1.0, 0.0),  # hardware's
        ("0x84", 1.0, 1.0),  # power brake, at the limit
        ("0x100", 0.0, 0.0),  # a display's clock
    ],
)
def test_reasons_for_a_lower_clock(ask, bits: str, throttled: float, capped: float) -> None:
    (told, _) = ask(H200 | {"reasons": bits})["nvml-0"]
    assert (told["throttled"], told["power_capped"]) == (throttled, capped)
    assert told["clock_event_reasons"] == int(bits, 16)


def test_what_a_card_refuses_is_none_with_the_drivers_reason(ask) -> None:
    card = {name: answer for name, answer in H200.items() if name not in ("energy", "mig")}
    (told, _) = ask(card | {"power": "error 4", "reasons": "error 999"})["nvml-0"]
    assert told["clock_mhz"] == 1980.0
    assert [name for name, value in told.items() if value is None] == [
        "energy_joules",
        "power_watts",
        "throttled",
        "power_capped",
        "clock_event_reasons",
        "sliced",
    ]
    assert "energy_joules: Not Supported; power_watts: Insufficient Permissions" in told["missing"]
    assert "throttled: Unknown Error" in told["missing"]


def test_a_driver_that_is_not_loaded_is_the_reason_for_all(ask) -> None:
    first, second = ask(H200, init="error 9")["nvml-0"]
    assert first == second == {"device_index": 0.0, "missing": "NVML: Driver Not Loaded"}


def test_without_the_library_it_says_so(ask, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    (sampler,) = samplers(1, "0")
    told = sampler.read()
    sampler.close()
    assert told["device_index"] == 0.0
    assert "NVML Shared Library Not Found" in str(told.get("missing")) or "clock_mhz" in told  # or a real card


def test_several_cards_are_told_apart(ask) -> None:
    told = ask(H200, H200 | {"sm": "1200"}, count=2)
    assert [told[name][0]["clock_mhz"] for name in ("nvml-0", "nvml-1")] == [1980.0, 1200.0]
    assert [told[name][0]["device_index"] for name in ("nvml-0", "nvml-1")] == [0.0, 1.0]


@pytest.mark.parametrize("visible", ["1", "GPU-77", "GPU-77aa", " 1 ", "1,-1,0", "1,nonsense,0"])
def test_visible_cards_are_cudas(ask, visible: str) -> None:
    """By number or the beginning of an identifier; nothing counts from the first impossible one on."""
    told = ask(H200, H200 | {"sm": "1200", "uuid": "GPU-77aa"}, count=2, visible=visible)
    assert list(told) == ["nvml-0"]
    assert told["nvml-0"][0]["clock_mhz"] == 1200.0


def test_no_card_is_visible(ask) -> None:
    assert ask(H200, visible="") == {} == ask(H200, visible="-1")


def test_an_identifier_of_no_card_is_a_reason(ask) -> None:
    (told, _) = ask(H200, visible="GPU-0000")["nvml-0"]
    assert told["missing"] == "NVML: no card GPU-0000"


def test_a_divided_card_and_its_slice_say_so(ask) -> None:
    (told, _) = ask(H200 | {"mig": "1"})["nvml-0"]
    assert told["sliced"] == 1.0
    (told, _) = ask(H200 | {"slice": "MIG-0a1b/1/0"}, visible="MIG-0a1b/1/0")["nvml-0"]
    assert (told["sliced"], told["energy_joules"], told["clock_mhz"]) == (1.0, None, None)


def test_the_variable_is_read_as_cuda_reads_it() -> None:
    assert visible_devices("2,0, GPU-aa ,MIG-bb/1/0,-1,3") == ["2", "0", "GPU-aa", "MIG-bb/1/0"]
