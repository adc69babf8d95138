"""A record for every graph that was compiled or found in the cache."""

from typing import Any

_RECORDS: list[dict[str, Any]] = []


def get_dynamo_metrics() -> list[dict[str, Any]]:
    """One record a graph of torch.compile; eager operators have none."""
    return list(_RECORDS)


def reset_dynamo_metrics() -> None:
    _RECORDS.clear()


def add_record(record: dict[str, Any]) -> None:
    _RECORDS.append(record)
