"""Which tests share a process, and which are traced for line coverage."""

from collections import Counter

import pytest

TRACED = 4
"""Tests of one function that are traced; its further parameters run the same lines again, three times as
fast without a tracer."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file stay together, and all that speak to the shared service: what one builds for itself,
    another need not build again. Of many tests of one function, a few are traced."""
    seen: Counter[str] = Counter()
    for item in items:
        names = getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("server" if "server" in names else item.path.name))
        function = item.nodeid.partition("[")[0]
        seen[function] += 1
        if seen[function] > TRACED:
            item.add_marker(pytest.mark.no_cover)
