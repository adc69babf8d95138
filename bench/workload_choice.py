"""The workload that a command line asks for: one of the catalog, with parts replaced."""

from dataclasses import replace
from pathlib import Path

from workloads.catalog import find_workload
from workloads.data import batch_source
from workloads.errors import WorkloadError
from workloads.hf_config import model_from_hf_config
from workloads.names import name_of_file
from workloads.parse import check
from workloads.spec import Precision, Workload
from workloads.token_file import TokenType, token_file_data


def choose_workload(
    name: str,
    precision: Precision | None = None,
    hf_config: Path | None = None,
    data: Path | None = None,
    data_type: TokenType = "uint16",
) -> Workload:
    """The workload, checked as a whole, its data opened once so that a mistake shows before anything runs.

    Raises:
        WorkloadError: any part is unusable, or a token file is not the one that the workload names.
    """
    workload = find_workload(name)
    if hf_config is not None:
        workload = replace(
            workload, model=model_from_hf_config(hf_config), name=f"{workload.name}+{name_of_file(hf_config)}"
        )
    if precision is not None:
        workload = replace(workload, precision=precision)
    if data is not None:
        tokens = token_file_data(data, data_type, workload.model.vocab_size)
        workload = replace(workload, data=tokens, name=f"{workload.name}+{name_of_file(data)}")
    elif workload.data.path is not None:
        _require_same_tokens(workload)
    check(workload, workload.name)
    batch_source(workload)
    return workload


def _require_same_tokens(workload: Workload) -> None:
    """A workload file may name a token file by path and sha256: the digest speaks of the latter."""
    path, dtype = Path(workload.data.path or ""), workload.data.dtype or "uint16"
    found = token_file_data(path, dtype, workload.model.vocab_size)
    if found.sha256 != workload.data.sha256:
        raise WorkloadError(
            f"{path} has sha256 {found.sha256}, {workload.name} says {workload.data.sha256}", "use that file"
        )
