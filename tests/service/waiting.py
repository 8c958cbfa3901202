"""Waiting for what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(
    condition: Callable[[], object],
    seconds: float = 20,
    *,
    told: Callable[[], str] = lambda: "nothing happened",
) -> None:
    """Return when it comes to hold; the test fails with what is `told` when it has not after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, told()
        time.sleep(0.02)
