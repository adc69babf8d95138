"""Backends found through the entry-point group `fairchip.backends`; our own use it too.

Listing reads package metadata and imports nothing. A plug-in that fails to import is shown as
unavailable with the reason, never hidden and never fatal.
"""

import difflib
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points

from backends.contract import Availability, Backend
from backends.errors import BackendError

GROUP = "fairchip.backends"
PEERS = "fairchip.peers"
"""Other trainers to hold ours against: run by name alone, never listed and in no suite."""


def backend_entry_points() -> Mapping[str, EntryPoint]:
    """Every declared backend by name, sorted. Imports nothing.

    Raises:
        BackendError: two distributions declare one name; the message names both.
    """
    found: dict[str, EntryPoint] = {}
    for point in sorted(_entry_points(GROUP, tuple(sys.path)), key=lambda point: point.name):
        twin = found.get(point.name)
        if twin is not None and _owner(twin) != _owner(point):
            raise BackendError(
                f"two packages declare the backend {point.name!r}: {_owner(twin)} and {_owner(point)}",
                "uninstall one of them",
            )
        found[point.name] = point
    return found


@cache
def _entry_points(group: str, search_path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Read once for each search path: with a hundred packages it takes 50 ms, and every run asks several times."""
    return tuple(entry_points(group=group))


def load_backend(name: str) -> Backend:
    """The backend of that name, imported.

    Raises:
        BackendError: unknown name (the hint names the nearest), or its package fails to import.
    """
    points = backend_entry_points()
    if name not in points:
        for peer in _entry_points(PEERS, tuple(sys.path)):
            if peer.name == name:
                return _loaded(peer)
        near = difflib.get_close_matches(name, points, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(points)}"
        raise BackendError(f"unknown backend {name!r}", hint)
    return _loaded(points[name])


def availability(name: str) -> Availability:
    """What `Backend.probe` says, or unavailable with the reason if the backend cannot even be loaded."""
    return _probed(partial(load_backend, name))


def availabilities() -> dict[str, Availability]:
    """The same of every declared backend by name, sorted; reads the package metadata once.

    Raises:
        BackendError: two distributions declare one name.
    """
    return {name: _probed(partial(_loaded, point)) for name, point in backend_entry_points().items()}


def _loaded(point: EntryPoint) -> Backend:
    try:
        backend = point.load()()
    except Exception as error:  # a plug-in may fail in any way
        raise BackendError(
            f"backend {point.name!r} of {_owner(point)} fails to load: {type(error).__name__}: {error}",
            "reinstall or uninstall that package",
        ) from error
    if not isinstance(backend, Backend):
        raise BackendError(f"{point.value} is not a backend", "see docs/add-a-backend.md")
    return backend


def _probed(load: Callable[[], Backend]) -> Availability:
    try:
        found = load().probe()
        if not isinstance(found, Availability):
            raise TypeError(f"{found!r:.100} is no Availability")
        return found
    except BackendError as error:
        return Availability(available=False, device_type="", reason=error.message, fix=error.hint)
    except Exception as error:  # a plug-in's probe may fail in any way
        return Availability(available=False, device_type="", reason=f"probe failed: {type(error).__name__}: {error}")


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "an unknown distribution"
