"""Reads of single rows, taken together: what asks while one read runs is answered by the next one.

A poll costs a hop into a thread and a transaction, which is most of its time. Under load a read answers many
polls; without load a poll is read at once. Nothing is kept, so that no answer is older than its question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lookups(Generic[K, V]):
    """`load` reads many keys at once, in a thread; a key that it does not answer has no value.

    Belongs to one event loop.
    """

    def __init__(self, load: Callable[[Collection[K]], Mapping[K, V]]) -> None:
        self._load = load
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """The value of `key` as it is now. Raises what `load` raises."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        return await asyncio.shield(waiting)  # a client that leaves takes nobody's answer with it

    async def _read(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, {}
                await self._answer(asked)
        finally:
            self._reader = None

    async def _answer(self, asked: Mapping[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await run_in_threadpool(self._load, list(asked))
        except BaseException as error:
            for future in asked.values():
                future.set_exception(error)
                future.exception()  # seen, also where every client has left
            if not isinstance(error, Exception):
                raise
        else:
            for key, future in asked.items():
                future.set_result(found.get(key))
