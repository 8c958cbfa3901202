"""Which tests share a process, and which come first."""

import gc

import pytest

from service.startup import starting

starting()


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file stay together, and all that speak to the shared service: what one builds for itself,
    another need not build again. The longest come first, so that no process ends long after the others."""
    gc.freeze()
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not _serves(item), item.path not in slow))
    for item in items:
        item.add_marker(pytest.mark.xdist_group("server" if _serves(item) else item.path.name))


def _serves(item: pytest.Item) -> bool:
    return "server" in getattr(item, "fixturenames", ())
