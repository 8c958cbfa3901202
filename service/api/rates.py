"""How many requests a caller may make: one token bucket for each, in this process."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from service.errors import Problem

MAX_CALLERS = 10_000
"""Buckets kept; the fullest are forgotten first, which changes nothing for their owners."""


class RateLimiter:
    """A bucket of `per_minute` tokens per caller, filled evenly. 0: no limit.

    `clock` gives seconds that never go back. Several API processes have a bucket each.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float]) -> None:
        self._size = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, caller: str) -> None:
        """Take a token. Raises `Problem` 429, with the seconds to wait, when there is none."""
        if self._size == 0:
            return
        with self._lock:
            now = self._clock()
            left = self._left(caller, now)
            if left < 1:
                raise _too_many(self._size, math.ceil((1 - left) * 60 / self._size))
            if len(self._buckets) >= MAX_CALLERS and caller not in self._buckets:
                self._forget(now)
            self._buckets[caller] = (left - 1, now)

    def _left(self, caller: str, now: float) -> float:
        tokens, then = self._buckets.get(caller, (float(self._size), now))
        return min(self._size, tokens + (now - then) * self._size / 60)

    def _forget(self, now: float) -> None:
        order = sorted(self._buckets, key=lambda caller: self._left(caller, now))
        self._buckets = {caller: self._buckets[caller] for caller in order[: MAX_CALLERS // 2]}


def _too_many(size: int, wait: int) -> Problem:
    return Problem(
        429,
        "rate_limited",
        f"More than {size} requests a minute; wait {wait} s.",
        stage="authenticate",
        code="rate_limit_exceeded",
        retry=True,
        headers={"retry-after": str(wait), "x-ratelimit-limit-requests": str(size)},
    )
