"""Everything here needs an Nvidia GPU: skipped with the backend's own reason elsewhere."""

from pathlib import Path

import pytest

from backends.registry import availability

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is about the backends that its parameters name, or about torch's."""
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.gpu)
        backend = getattr(item, "callspec", None) and item.callspec.params.get("backend")
        found = availability(backend or "torch-cuda")
        if not found.available:
            item.add_marker(pytest.mark.skip(reason=f"{backend or 'torch-cuda'}: {found.reason}"))
