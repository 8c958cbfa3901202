"""How much work there is for workers: what a fleet scales after."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from service.jobs.model import IN_PROGRESS, QUEUED
from service.jobs.rows import Part
from service.store.tables import jobs, tenants


@dataclass(frozen=True, slots=True)
class Demand:
    """Jobs of one model. `open`: that run or may start now; `busy`: the workers that have one."""

    open: int
    busy: frozenset[str]


class Demanding(Part):
    """The part of the store that fleets look at."""

    def demand(self, model: str) -> Demand:
        """What runs, and what waits as far as its tenant's limit of running jobs lets it start."""
        with self._database.reading() as connection:
            running = connection.execute(
                select(jobs.c.tenant, jobs.c.worker, jobs.c.model).where(jobs.c.status == IN_PROGRESS)
            ).all()
            startable = self._startable(connection, model, [row.tenant for row in running])
        mine = [row.worker for row in running if row.model == model]
        return Demand(len(mine) + startable, frozenset(mine))

    def _startable(self, connection: Connection, model: str, running: list[str]) -> int:
        waiting = (
            select(tenants.c.name, self._most_running().label("most"), func.count().label("waiting"))
            .join(tenants, tenants.c.name == jobs.c.tenant)
            .where(jobs.c.status == QUEUED, jobs.c.model == model)
            .group_by(tenants.c.name)
        )
        rows = connection.execute(waiting).all()
        return sum(min(int(row.waiting), max(0, int(row.most) - running.count(row.name))) for row in rows)
