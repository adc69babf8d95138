"""A name that leads to no ordinary file: every reader refuses at once, without waiting and without reading on."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.errors import BackendError
from backends.recipe import custom_recipe
from results.errors import PriceError, RecordError
from results.price_book import load_price_book
from results.record_file import read_record
from workloads.errors import WorkloadError
from workloads.hf_config import model_from_hf_config
from workloads.parse import workload_from_toml
from workloads.token_file import token_file_data

READERS: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "workload": (workload_from_toml, WorkloadError),
    "config.json": (model_from_hf_config, WorkloadError),
    "token file": (lambda path: token_file_data(path, "uint16", 256), WorkloadError),
    "recipe": (custom_recipe, BackendError),
    "table": (load_price_book, PriceError),
    "record": (read_record, RecordError),
}


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _huge(folder: Path) -> Path:
    """100 GB that take no room."""
    with (folder / "huge").open("wb") as file:
        file.truncate(100 * 10**9)
    return folder / "huge"


def _loop(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


ODD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a folder": (lambda folder: folder, "is a directory"),
    "a pipe that nobody writes to": (_pipe, "is not a regular file"),
    "a device that never ends": (lambda folder: Path("/dev/zero"), "is not a regular file"),
    "a huge file": (_huge, "is larger than"),
    "a link to itself": (_loop, "symbolic links"),
    "a name that is too long": (lambda folder: folder / ("x" * 300), "File name too long"),
    "a name with a NUL": (lambda folder: folder / "a\0b", "not the name of a file"),
    "nothing": (lambda folder: folder / "none", "No such file"),
    "a name that is no UTF-8, of nothing": (lambda folder: folder / os.fsdecode(b"\xff"), ""),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_no_ordinary_file_is_refused_at_once(reader: str, odd: str, tmp_path: Path) -> None:
    read, refusal = READERS[reader]
    make, said = ODD[odd]
    path = make(tmp_path)
    with pytest.raises(refusal) as caught:
        read(path)
    assert str(path) in caught.value.message
    assert said in caught.value.message
    assert caught.value.hint
