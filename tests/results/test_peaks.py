"""A known device has its dense peak, any other has none and says why."""

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.errors import PriceError
from results.instances import load_instances
from results.peaks import COLUMNS, Dtype, MissingPeak, Peak, load_accelerators, peak_flops

ACCELERATORS = load_accelerators()
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
HEADER = ",".join(COLUMNS)
GOOD = "X1,Maker,Maker X1|X1 PCIe,10,20,40,80,16,300,70,a note,a page"


def write_table(directory: Path, *lines: str) -> Path:
    path = directory / "accelerators.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("device_name", "dtype", "tflops"),
    [
        ("NVIDIA H200", "bf16", 989),
        ("nvidia h200 ", "bf16", 989),
        ("NVIDIA H100 80GB HBM3", "bf16", 989),
        ("NVIDIA H100 PCIe", "bf16", 756),
        ("NVIDIA A100-SXM4-80GB", "tf32", 156),
        ("NVIDIA L4", "bf16", 121),
        ("NVIDIA A10G", "bf16", 70),
        ("Tesla T4", "fp32", 8.1),
        ("Trainium2", "fp8", 1299),
    ],
)
def test_known_peaks(device_name: str, dtype: Dtype, tflops: float) -> None:
    peak = peak_flops(device_name, dtype)
    assert isinstance(peak, Peak)
    assert peak.flops_per_second == tflops * 1e12
    assert (peak.dtype, peak.dense) == (dtype, True)
    assert peak.source


@pytest.mark.parametrize(
    "device_name",
    [
        "",
        "cpu",
        "AMD EPYC 9R14",
        "H200",
        "NVIDIA H200 NVL",
        "NVIDIA H200 MIG 1g.18gb",
        "NVIDIA A10",
        "NVIDIA L40",
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_unknown_name_has_no_peak(device_name: str, dtype: Dtype) -> None:
    peak = peak_flops(device_name, dtype)
    assert isinstance(peak, MissingPeak)
    assert repr(device_name) in peak.reason


@given(st.text())
def test_a_name_is_never_guessed(device_name: str) -> None:
    known = {name.casefold() for a in ACCELERATORS for name in (a.name, *a.match)}
    found = isinstance(peak_flops(device_name, "bf16"), Peak)
    assert not found or device_name.strip().casefold() in known


def test_a_dtype_without_a_figure_says_why() -> None:
    peak = peak_flops("Tesla T4", "bf16")
    assert isinstance(peak, MissingPeak)
    assert peak.reason.startswith("no dense bf16 peak of T4 is known: Turing has no bf16")


def test_every_shipped_row_is_sourced_and_plausible() -> None:
    for accelerator in ACCELERATORS:
        assert accelerator.source
        peaks = [peak for dtype in DTYPES if (peak := accelerator.tflops(dtype)) is not None]
        assert peaks == sorted(peaks), f"{accelerator.name}: a narrower type is slower"
        # A figure "with sparsity" taken for a dense one would show as a factor of four.
        if accelerator.bf16_tflops and accelerator.fp8_tflops:
            assert accelerator.fp8_tflops < 4 * accelerator.bf16_tflops


def test_instances_name_chips_of_this_table() -> None:
    chips = {instance.accelerator for instance in load_instances()} - {None}
    # No data sheet was found of RTX-PRO-4500 and GH200; some prices do not say which form of H100 or H200 they are of.
    assert chips - {accelerator.name for accelerator in ACCELERATORS} == {"RTX-PRO-4500", "GH200", "H100", "H200"}


def test_a_good_row(tmp_path: Path) -> None:
    (accelerator,) = load_accelerators(write_table(tmp_path, HEADER, GOOD))
    assert accelerator.match == ("Maker X1", "X1 PCIe")
    assert [accelerator.tflops(dtype) for dtype in DTYPES] == [10, 20, 40, 80]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("40", "0", "bf16_tflops"),
        ("40", "n/a", "bf16_tflops"),
        ("40,80,16,300,70,a note", ",80,16,300,70,", "note"),
        ("a page", "", "source"),
        ("X1,Maker,Maker X1", "X2,Maker,other x1", "'other x1' has a row already"),
    ],
)
def test_a_bad_row_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, what: str) -> None:
    first = "X0,Maker,Other X1,,,,,,,,nothing known,a page"
    path = write_table(tmp_path, HEADER, first, GOOD.replace(old, new))
    with pytest.raises(PriceError) as caught:
        load_accelerators(path)
    assert f"{path}, line 3: " in caught.value.message
    assert what in caught.value.message
    assert caught.value.hint
