"""What an exit code tells of how a process ended; as subprocess has it, below zero for a signal."""

import signal

from bench.errors import UsageError


def by_signal(code: int) -> str | None:
    """How a signal ended it, after "was"; None for an exit code of its own."""
    if code >= 0:
        return None
    if code == -signal.SIGKILL:
        return "killed (SIGKILL): the usual cause is that the host ran out of memory"
    known = {member.value: member.name for member in signal.Signals}
    return f"ended by {known.get(-code, f'signal {-code}')}"


def ended(name: str, code: int) -> UsageError:
    """The error of a command one of whose processes ended early; what it wrote has been seen."""
    signalled = by_signal(code)
    if signalled:
        return UsageError(f"{name} was {signalled}", "its last words stand above, if it had any")
    return UsageError(f"{name} ended with exit code {code}", "its error stands above")
