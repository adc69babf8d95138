"""The workload that a command line asks for: one of the catalog, with parts replaced."""

from dataclasses import replace
from pathlib import Path

from workloads.catalog import find_workload
from workloads.data import batch_source
from workloads.hf_config import model_from_hf_config
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
        WorkloadError: any part is unusable.
    """
    workload = find_workload(name)
    if hf_config is not None:
        workload = replace(workload, model=model_from_hf_config(hf_config), name=f"{workload.name}+{hf_config.stem}")
    if precision is not None:
        workload = replace(workload, precision=precision)
    if data is not None:
        tokens = token_file_data(data, data_type, workload.model.vocab_size)
        workload = replace(workload, data=tokens, name=f"{workload.name}+{data.stem}")
    check(workload, workload.name)
    batch_source(workload)
    return workload
