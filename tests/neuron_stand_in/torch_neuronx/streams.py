"""Streams and events, as far as training code calls them: a core has one queue, so all of it is in order already."""

from types import TracebackType
from typing import Any, Self

from torch_neuronx._library import DEVICE


class Stream:
    """A name for the core's one queue."""

    def __init__(self, device: Any = None, priority: int = 0) -> None:
        self.device, self.priority = device, priority

    def synchronize(self) -> None:
        DEVICE.c.nsi_synchronize(-1)

    def record_event(self, event: "Event | None" = None) -> "Event":
        event = event or Event()
        event.record(self)
        return event

    def wait_stream(self, stream: "Stream") -> None:
        """Nothing to wait for in one queue."""

    def wait_event(self, event: "Event") -> None:
        """Nothing to wait for in one queue."""

    def query(self) -> bool:
        return bool(DEVICE.c.nsi_idle(-1))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the queue as it is."""


class Event:
    """A mark in the queue. It does not measure device time, on the real device neither."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.enable_timing = enable_timing

    def record(self, stream: Stream | None = None) -> None:
        """Nothing to note down."""

    def wait(self, stream: Stream | None = None) -> None:
        """Nothing to wait for in one queue."""

    def synchronize(self) -> None:
        DEVICE.c.nsi_synchronize(-1)

    def query(self) -> bool:
        return bool(DEVICE.c.nsi_idle(-1))

    def elapsed_time(self, end: "Event") -> float:
        """Milliseconds that mean nothing: about 27 us whatever ran in between."""
        return 0.027


_DEFAULT = Stream()


def current_stream(device: Any = None) -> Stream:
    return _DEFAULT


def default_stream(device: Any = None) -> Stream:
    return _DEFAULT


def set_stream(stream: Stream) -> None:
    """The queue stays the one that it is."""


def stream(stream: Stream | None) -> Stream:
    return stream or _DEFAULT
