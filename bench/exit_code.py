"""What an exit code tells of how a process ended."""

import signal


def by_signal(code: int) -> str | None:
    """How a signal ended it, after "was"; None for an exit code of its own. ``code`` as subprocess has it."""
    if code >= 0:
        return None
    if code == -signal.SIGKILL:
        return "killed (SIGKILL): the usual cause is that the host ran out of memory"
    known = {member.value: member.name for member in signal.Signals}
    return f"ended by {known.get(-code, f'signal {-code}')}"
