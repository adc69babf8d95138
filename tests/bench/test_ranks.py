"""Several processes as one session: what one rank tells is not lost in what the others do."""

from collections.abc import Mapping

import pytest

from backends.contract import Scalar
from backends.fake import FakeSession, Script
from bench.ranks import Follower, LeadingSession, rank_variables

GOOD: Mapping[str, Scalar] = {
    "device_type": "neuron",
    "elsewhere": None,
    "fallback": None,
    "operand_fraction_bits": 23,
    "accumulation_exact": True,
}


class Answering:
    """A follower that answers at once."""

    def __init__(self, description: Mapping[str, Scalar], losses: list[dict] | None = None) -> None:
        self.description, self.losses, self.told, self.asked = description, losses or [], [], ""

    def tell(self, action: str, step: int | None = None) -> None:
        self.asked = action
        self.told.append(action)

    def answer(self) -> object:
        return {
            "describe": {"engine": "fake", "device_name": "fake", **self.description},
            "losses": self.losses,
            "compiled_graphs": 2,
            "memory": {"peak_bytes": 2**30, "source": "another"},
        }.get(self.asked)


def job_of(first: Mapping[str, Scalar], *others: Mapping[str, Scalar]) -> LeadingSession:
    return LeadingSession(FakeSession(Script(description=first)), [Answering(other) for other in others])


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        ({"elsewhere": "on the CPU: aten::sort (3)"}, "on the CPU: aten::sort (3)"),
        ({"fallback": "eager"}, "eager"),
        ({"operand_fraction_bits": 10}, 10),
        ({"accumulation_exact": False}, False),
        ({"device_type": "cpu"}, "cpu and neuron"),
    ],
)
def test_a_fault_of_any_rank_is_the_jobs(fault: dict[str, Scalar], shown: Scalar) -> None:
    """Also of the leader's own, which the others' good answers must not hide."""
    bad = {**GOOD, **fault}
    for ranks in ([bad, GOOD, GOOD], [GOOD, bad, GOOD], [GOOD, GOOD, bad]):
        assert job_of(*ranks).describe()[next(iter(fault))] == shown
    assert dict(job_of(GOOD, GOOD).describe()).items() >= dict(GOOD).items()


def test_graphs_are_added_and_memory_is_the_largest() -> None:
    job = job_of(GOOD, GOOD)
    assert job.compiled_graphs() == 2
    memory = job.memory()
    assert memory is not None
    assert memory.peak_bytes == 2**30


def test_after_an_error_nobody_is_closed_in_order() -> None:
    """A rank that is stuck in a collective would never answer, and closing may wait for it."""
    job = job_of(GOOD, GOOD)
    with pytest.raises(ValueError, match="first"), job:
        raise ValueError("first")
    assert job._others[0].told == []
    with job:
        pass
    assert job._others[0].told == ["close"]


@pytest.mark.parametrize(("line", "heard"), [("garbage\n", ["its answer was not understood"]), ('{"answer": 1}\n', [])])
def test_an_answer_that_is_none_ends_the_job(line: str, heard: list[str]) -> None:
    failures: list[str] = []
    follower = Follower.__new__(Follower)
    follower.index, follower._ending = 1, False
    follower._failed = lambda status, reason: failures.append(reason.removeprefix("rank 1: "))
    follower._answers = __import__("queue").SimpleQueue()
    follower._hear(line)
    assert failures == heard
    follower._ending = True
    follower._hear('{"failed": "failed", "reason": "at the end"}\n')
    assert failures == heard, "what comes after the job's end is not heard"


def test_ranks_find_what_torchrun_sets() -> None:
    found = rank_variables(2, 4, 29500)
    assert (found["RANK"], found["LOCAL_RANK"], found["WORLD_SIZE"], found["MASTER_PORT"]) == ("2", "2", "4", "29500")
