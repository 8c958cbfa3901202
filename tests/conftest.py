"""Which tests share a process: what one builds for itself, another need not build again."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file stay together, and all that speak to the shared service."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("server" if "server" in names else item.path.name))
