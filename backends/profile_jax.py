"""A jax platform's operations by jax's own profiler."""

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from jax.profiler import ProfileData

from backends.errors import BackendError
from backends.profiles import Operation

NUMBER = re.compile(r"(\.\d+|\.clone|\.remat)+$")
"""What XLA puts behind an operation's name to tell it from others of the kind."""


def operations(run: Callable[[], None]) -> Sequence[Operation]:
    """What ``run`` does on the platform; it must block until the device is done.

    Raises:
        BackendError: a jax that writes profiles and cannot read them, as 0.7.0.
    """
    if ProfileData is None:
        raise BackendError(f"jax {jax.__version__} cannot read its profiles", "jax 0.7.1 and newer can")
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        (written,) = Path(folder).rglob("*.xplane.pb")
        return of_trace(ProfileData.from_file(str(written)))


def of_trace(trace: Any) -> Sequence[Operation]:
    """Every executed operation of a trace, those alike together."""
    seconds: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for line in (line for plane in trace.planes for line in plane.lines):
        for name, own_nanoseconds in _own_times(line.events):
            seconds[name] += own_nanoseconds / 1e9
            calls[name] += 1
    return [Operation(name=name, seconds=spent, calls=calls[name]) for name, spent in seconds.items()]


def _own_times(events: Any) -> Iterator[tuple[str, float]]:
    """(operation, nanoseconds without those of the operations inside it), for the events of one thread or stream."""
    executed = [event for event in events if any(key == "hlo_op" for key, _ in event.stats)]
    inside: list[list[Any]] = []  # [end, name, own time], the outer ones first
    for event in sorted(executed, key=lambda one: (one.start_ns, -one.duration_ns)):
        while inside and inside[-1][0] <= event.start_ns:
            _, name, own = inside.pop()
            yield name, own
        if inside:
            inside[-1][2] -= event.duration_ns
        inside.append([event.start_ns + event.duration_ns, NUMBER.sub("", event.name), event.duration_ns])
    for _, name, own in reversed(inside):
        yield name, own
