"""Builds the recorded NVML and describes cards to it."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "recorded_nvml" / "nvml.c"
H200 = {
    "uuid": "GPU-5f0b7a3e-1111-2222-3333-444444444444",
    "energy": "watts 600",
    "power": "612345",
    "limit": "700000",
    "default": "700000",
    "sm": "1980",
    "memory": "3201",
    "temperature": "55",
    "reasons": "0x0",
    "mig": "0",
    "processes": "1",
}
"""A healthy H200 at work: 600 W by its counter, 612.345 W at the moment."""


def build_nvml(folder: Path) -> Path:
    """The folder with ``libnvidia-ml.so.1``, for LD_LIBRARY_PATH; skips where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the recorded NVML with")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE], check=True)
    return folder


def write_cards(path: Path, *cards: Mapping[str, str], **of_all: str) -> Path:
    """What the cards answer from now on; ``of_all`` of the library itself, such as ``init="error 9"``."""
    lines = [f"all {question} {answer}" for question, answer in {"count": str(len(cards)), **of_all}.items()]
    for number, card in enumerate(cards):
        lines += [f"{number} {question} {answer}" for question, answer in card.items()]
        lines += [f"{answer} slice 1" for question, answer in card.items() if question == "slice"]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
    return path
