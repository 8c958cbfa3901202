"""Which job is next: the highest priority, then the tenant with the smallest share so far, then the oldest.

The share is start-time fair queueing (P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queueing", 1996): each
start moves its tenant forward by the job's credits over the tenant's weight, and whoever would start
furthest back goes first. A tenant that was idle starts where the others are now: it has saved nothing
up and owes nothing.

Every lookup goes through one index, so that a claim costs the same in a queue of a hundred thousand jobs:
the highest priority that waits, then the tenants that wait with it, one step of the index each.
On PostgreSQL a claim locks its tenant's row and skips locked ones (`FOR NO KEY UPDATE SKIP LOCKED`):
workers do not wait for each other, and a tenant's limit of running jobs holds exactly. On SQLite the
writing transaction is the lock.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    func,
    select,
    update,
)

from service.jobs.model import ATTEMPTS_CODE, CANCELLED_CODE, IN_PROGRESS, QUEUED, Job, Lease
from service.jobs.rows import Part, fail_rows, first
from service.store.tables import jobs, tenants

CLAIM_TRIES = 8
"""A job that is deleted between two statements of a claim: look again."""
_ABOVE_ALL: Final = 2**31 - 1
"""More than any priority."""
LEAST_COST = 1
"""Jobs that cost nothing still take their turn."""


class Claiming(Part):
    """The part of the store that hands jobs to workers."""

    def claim(self, worker: str, model: str) -> Lease | None:
        """Lease the next job of `model`. A job whose worker is gone is queued again before."""
        for attempt in range(CLAIM_TRIES):
            with self._database.writing() as connection:
                if attempt == 0:
                    self._reap(connection)
                # When every tenant is locked, wait for one: the queue is not empty.
                turn = self._turn(connection, model, skip_locked=attempt == 0)
                if turn is None and attempt > 0:
                    return None
                lease = None if turn is None else self._take(connection, *turn, worker, model)
                if lease is not None:
                    return lease
        return None

    def _turn(self, connection: Connection, model: str, *, skip_locked: bool) -> tuple[Row[Any], int] | None:
        """The locked row of the tenant whose turn it is, and the priority of its next job. Where no tenant of
        a priority may start another job, the next lower one has its turn."""
        below = _ABOVE_ALL
        while (priority := connection.scalar(_PRIORITY, {"model": model, "below": below})) is not None:
            found = connection.execute(
                self._next_tenant(skip_locked=skip_locked), {"model": model, "priority": priority}
            ).first()
            if found is not None:
                return found, priority
            below = priority
        return None

    def _reap(self, connection: Connection) -> None:
        """Deal with jobs whose worker is gone: cancelled, given up after `max_attempts`, or queued again."""
        now = self._clock()
        stale = and_(jobs.c.status == IN_PROGRESS, jobs.c.lease_until <= now)
        if connection.scalar(select(jobs.c.id).where(stale).limit(1)) is None:
            return
        message = f"The job was started {self._limits.max_attempts} times and its worker died each time."
        fail_rows(connection, and_(stale, jobs.c.cancel_requested), now, CANCELLED_CODE, "Cancelled.")
        used_up = and_(stale, jobs.c.attempts >= self._limits.max_attempts)
        fail_rows(connection, used_up, now, ATTEMPTS_CODE, message)
        again = update(jobs).where(stale).values(status=QUEUED, worker=None, lease_until=None, progress=0)
        connection.execute(again)

    @lru_cache(maxsize=16)  # noqa: B019 - a store lives as long as its process
    def _next_tenant(self, *, skip_locked: bool) -> Select[Any]:
        """The next of the tenants that wait with one priority. Kept: writing it costs more than running."""
        waiting, running = _waiting(), _running()
        return (
            select(tenants)
            .join(waiting, waiting.c.tenant == tenants.c.name)
            .outerjoin(running, running.c.tenant == tenants.c.name)
            .where(func.coalesce(running.c.jobs, 0) < self._most_running())
            .order_by(_start(), tenants.c.served_at.asc().nulls_first(), tenants.c.created_at)
            .limit(1)
            .with_for_update(key_share=True, skip_locked=skip_locked, of=tenants)
        )

    def _may_run(self) -> ColumnElement[bool]:
        running = (
            select(func.count())
            .where(jobs.c.status == IN_PROGRESS, jobs.c.tenant == tenants.c.name)
            .correlate(tenants)
            .scalar_subquery()
        )
        return running < self._most_running()

    def _take(
        self, connection: Connection, tenant: Row[Any], priority: int, worker: str, model: str
    ) -> Lease | None:
        """Claim the tenant's next job by compare-and-swap on the fence; None when it is gone meanwhile."""
        # A statement of its own: it sees what was committed while this one waited for the tenant's row.
        start = connection.scalar(select(_start()).where(tenants.c.name == tenant.name, self._may_run()))
        job = None if start is None else first(connection, _head(model, tenant.name, priority))
        if job is None or start is None:
            return None
        now = self._clock()
        row = connection.execute(
            update(jobs)
            .where(jobs.c.id == job.id, jobs.c.fence == job.fence, jobs.c.status == QUEUED)
            .values(
                status=IN_PROGRESS,
                worker=worker,
                fence=jobs.c.fence + 1,
                attempts=jobs.c.attempts + 1,
                lease_until=now + self._limits.lease,
                started_at=func.coalesce(jobs.c.started_at, now),
                progress=0,
            )
            .returning(jobs)
        ).one_or_none()
        if row is None:
            return None
        self._serve(connection, tenant, job, start, now)
        claimed = Job(**row._mapping)
        return Lease(claimed, claimed.fence, worker)

    def _serve(self, connection: Connection, tenant: Row[Any], job: Job, start: float, now: datetime) -> None:
        finished = start + max(job.credits, LEAST_COST) / tenant.weight
        mine = update(tenants).where(tenants.c.name == tenant.name)
        connection.execute(mine.values(served_at=now, work_started=start, work_finished=finished))


def _head(model: str, tenant: str, priority: int) -> Select[Any]:
    """The jobs of a tenant that wait with one priority, the oldest first."""
    mine = (jobs.c.status == QUEUED, jobs.c.model == model, jobs.c.priority == priority)
    return select(jobs).where(*mine, jobs.c.tenant == tenant).order_by(jobs.c.created_at)


def _running() -> Subquery:
    """How many jobs run of each tenant that has any: at most as many rows as there are workers."""
    count = select(jobs.c.tenant, func.count().label("jobs")).where(jobs.c.status == IN_PROGRESS)
    return count.group_by(jobs.c.tenant).subquery("running")


def _start() -> ColumnElement[float]:
    """Where the tenant's next job would start: where its last one ended, or where the others are."""
    other = tenants.alias("other")
    now = select(func.max(other.c.work_started)).scalar_subquery()
    return case((tenants.c.work_finished > now, tenants.c.work_finished), else_=now)


def _waiting() -> CTE:
    """Tenants with a queued job of `:model` and `:priority`, one index lookup each ("loose index scan")."""
    queued = (
        jobs.c.status == QUEUED,
        jobs.c.model == bindparam("model"),
        jobs.c.priority == bindparam("priority"),
    )
    waiting = select(func.min(jobs.c.tenant).label("tenant")).where(*queued).cte("waiting", recursive=True)
    following = (
        select(func.min(jobs.c.tenant))
        .where(*queued, jobs.c.tenant > waiting.c.tenant)
        .correlate(waiting)
        .scalar_subquery()
    )
    return waiting.union_all(select(following).where(waiting.c.tenant.is_not(None)))


_PRIORITY: Final = (
    select(jobs.c.priority)
    .where(jobs.c.status == QUEUED, jobs.c.model == bindparam("model"), jobs.c.priority < bindparam("below"))
    .order_by(jobs.c.priority.desc())  # by max(), PostgreSQL reads the whole queue until it has statistics
    .limit(1)
)
"""The highest priority below `:below` with which a job of `:model` waits."""
