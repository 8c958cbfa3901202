"""Which tests share a process, and which are traced for line coverage."""

from collections import Counter

import pytest

TRACED = 4
"""Tests of one function that are traced; its further parameters run the same lines again, three times as
fast without a tracer."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file stay together, and all that speak to the shared service: what one builds for itself,
    another need not build again. The longest come first, so that no process ends long after the others. Of
    many tests of one function, a few are traced."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (not _serves(item), item.path not in slow))
    seen: Counter[str] = Counter()
    for item in items:
        item.add_marker(pytest.mark.xdist_group("server" if _serves(item) else item.path.name))
        function = item.nodeid.partition("[")[0]
        seen[function] += 1
        if seen[function] > TRACED:
            item.add_marker(pytest.mark.no_cover)


def _serves(item: pytest.Item) -> bool:
    return "server" in getattr(item, "fixturenames", ())
