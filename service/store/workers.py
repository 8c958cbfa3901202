"""Who is at work: one row per worker process, refreshed while it lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from service.store.database import Database
from service.store.tables import workers


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """One worker process as last seen."""

    name: str
    model: str
    started_at: datetime
    seen_at: datetime


class WorkerStore:
    """Reads and writes the rows of workers."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def hello(self, name: str, model: str) -> None:
        """A worker started and has loaded `model`."""
        now = self._clock()
        with self._database.writing() as connection:
            connection.execute(insert(workers).values(name=name, model=model, started_at=now, seen_at=now))

    def seen(self, name: str) -> None:
        """The worker is alive."""
        with self._database.writing() as connection:
            connection.execute(update(workers).where(workers.c.name == name).values(seen_at=self._clock()))

    def goodbye(self, name: str) -> None:
        """The worker ended."""
        with self._database.writing() as connection:
            connection.execute(delete(workers).where(workers.c.name == name))

    def alive(self, window: timedelta) -> list[WorkerInfo]:
        """Workers seen within `window`."""
        query = select(workers).where(workers.c.seen_at >= self._clock() - window).order_by(workers.c.name)
        with self._database.reading() as connection:
            return [WorkerInfo(**row._mapping) for row in connection.execute(query)]
