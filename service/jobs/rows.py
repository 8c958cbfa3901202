"""Reading and changing rows of `jobs`, shared by the parts of the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Update, func, select, update

from service.jobs import credits
from service.jobs.model import FAILED, IN_PROGRESS, Job, JobLimits, Lease
from service.store.database import Database
from service.store.outbox import announce
from service.store.tables import jobs, tenants


class Part:
    """What every part of the store is made with."""

    def __init__(
        self,
        database: Database,
        limits: JobLimits,
        *,
        clock: Callable[[], datetime],
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._token_bytes = token_bytes

    def _most_running(self) -> ColumnElement[int]:
        """How many jobs of a tenant may run at once: its own limit, or that of the installation."""
        return func.coalesce(tenants.c.max_running, self._limits.max_running)


def fail_rows(
    connection: Connection, where: ColumnElement[bool], now: datetime, code: str, message: str
) -> list[Job]:
    """End jobs without an output: they cost nothing, and whoever wants to know is told."""
    ended = update(jobs).where(where).values(
        status=FAILED, error_code=code, error_message=message, completed_at=now, lease_until=None
    )  # fmt: skip
    failed = [Job(**row._mapping) for row in connection.execute(ended.returning(jobs))]
    for job in failed:
        credits.release(connection, job.id, now)
        announce(connection, job.tenant, f"{job.kind}.failed", job.id, now)
    return failed


def held(lease: Lease) -> ColumnElement[bool]:
    """The row as long as nobody else has taken it over."""
    return (
        (jobs.c.id == lease.job.id)
        & (jobs.c.fence == lease.fence)
        & (jobs.c.worker == lease.worker)
        & (jobs.c.status == IN_PROGRESS)
    )


def change_held(lease: Lease) -> Update:
    """An update of the row that a lease stands for."""
    return update(jobs).where(held(lease))


def visible(tenant: str) -> Select[Any]:
    """Jobs of a tenant that were not deleted."""
    return select(jobs).where(jobs.c.tenant == tenant, jobs.c.deleted_at.is_(None))


def first(connection: Connection, query: Select[Any]) -> Job | None:
    """The first job of a query."""
    row = connection.execute(query.limit(1)).first()
    return None if row is None else Job(**row._mapping)


def every(connection: Connection, query: Select[Any]) -> list[Job]:
    """All jobs of a query."""
    return [Job(**row._mapping) for row in connection.execute(query)]
