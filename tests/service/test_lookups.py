"""Reads taken together: one read for all that ask meanwhile, none that is older than its question."""

import asyncio
import threading
from collections.abc import Collection

import pytest

from service.api.lookups import Lookups


class Slow:
    """A store whose reads wait for `gate`."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.reads: list[list[str]] = []
        self.values = {"a": 1, "b": 2}

    def load(self, keys: Collection[str]) -> dict[str, int]:
        found = {key: self.values[key] for key in keys if key in self.values}
        self.reads.append(sorted(keys))
        assert self.gate.wait(10)
        if "bad" in keys:
            raise OSError("away")
        return found


async def asked(store: Slow, lookups: Lookups[str, int], *keys: str) -> list[asyncio.Task[int | None]]:
    """Questions that were put, while one read runs."""
    tasks = [asyncio.create_task(lookups.get(key)) for key in keys]
    while not store.reads:
        await asyncio.sleep(0.01)
    return tasks


def test_what_asks_during_a_read_is_answered_by_the_next() -> None:
    async def scene() -> None:
        store = Slow()
        lookups = Lookups(store.load)
        first = await asked(store, lookups, "a")
        store.values["a"] = 10  # after the first read began
        late = await asked(store, lookups, "a", "a", "b", "none")
        store.gate.set()
        assert await asyncio.gather(*first) == [1]
        assert await asyncio.gather(*late) == [10, 10, 2, None]
        assert store.reads == [["a"], ["a", "b", "none"]]

    asyncio.run(scene())


def test_a_failed_read_fails_its_questions_and_no_later_one() -> None:
    async def scene() -> None:
        store = Slow()
        store.gate.set()
        lookups = Lookups(store.load)
        with pytest.raises(OSError, match="away"):
            await lookups.get("bad")
        assert await lookups.get("b") == 2

    asyncio.run(scene())


def test_a_client_that_leaves_takes_no_answer_with_it() -> None:
    async def scene() -> None:
        store = Slow()
        lookups = Lookups(store.load)
        gone, stays = await asked(store, lookups, "a", "a")
        gone.cancel()
        store.gate.set()
        assert await stays == 1

    asyncio.run(scene())
