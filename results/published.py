"""The records that ship: what one side is held against where a user has the other side only."""

from collections.abc import Sequence
from pathlib import Path

from results.errors import ComparisonError
from results.record import RunRecord
from results.store import load_all

PUBLISHED = Path(__file__).with_name("published")


def published_records(folder: Path = PUBLISHED) -> list[RunRecord]:
    """Every record below the folder, in the order of their paths; none where there is none.

    Raises:
        RecordError: a file that is no record.
    """
    paths = sorted(folder.rglob("*.json"))
    return load_all(paths) if paths else []


def published_like(records: Sequence[RunRecord], folder: Path = PUBLISHED) -> list[RunRecord]:
    """The published runs of the same work as any of these, other runs than these.

    Raises:
        ComparisonError: there are none; the hint names the workloads that there are.
    """
    digests, own = {record.case.digest for record in records}, {record.run_id for record in records}
    shipped = published_records(folder)
    found = [record for record in shipped if record.case.digest in digests and record.run_id not in own]
    if not found:
        there = ", ".join(sorted({record.case.workload for record in shipped})) or "none at all"
        raise ComparisonError(
            "compare needs two or more sides: no published record is of this work",
            f"for one folder of records: fairchip report FOLDER; published are: {there}",
        )
    return found
