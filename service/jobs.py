"""Durable jobs: a row is the truth, a lease says who works on it, a fence number refuses latecomers.

A worker claims a job for `lease_seconds` and extends the lease while it works. A worker that dies
stops extending, and another one takes the job over with a higher fence. Whatever the first one
still tries to write fails, because every write names the fence it was given (M. Kleppmann, "How to
do distributed locking", 2016). The output is published by one transaction: media record and
`completed` together, or neither.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, Update, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from provenance import Record
from service.errors import JobCancelledError, LeaseLostError, Problem
from service.store.database import Database
from service.store.records import insert_record, reserve_media_id
from service.store.tables import jobs, tenants
from service.store.tenants import ensure_tenant
from watermark import MediaId

QUEUED, IN_PROGRESS, COMPLETED, FAILED = "queued", "in_progress", "completed", "failed"
"""The only states that clients of the `openai` SDK know; any other ends their polling."""
CANCELLED_CODE = "cancelled"
ATTEMPTS_CODE = "attempts_exhausted"
CLAIM_TRIES = 8
"""Workers that race for one row: each loser looks again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of `jobs`, as it was when read."""

    id: str
    tenant: str
    kind: str
    status: str
    priority: int
    progress: int
    model: str
    request: dict[str, Any]
    request_digest: str
    idempotency_key: str | None
    media_id: int
    decision_id: str | None
    attempts: int
    fence: int
    worker: str | None
    lease_until: datetime | None
    cancel_requested: bool
    error_code: str | None
    error_message: str | None
    result: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    expires_at: datetime | None
    deleted_at: datetime | None

    @property
    def medium(self) -> MediaId:
        """The media id reserved for this job."""
        return MediaId(self.media_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What a client asks for, after the guard has passed it."""

    tenant: str
    kind: str
    model: str
    request: Mapping[str, Any]
    digest: str
    idempotency_key: str | None = None
    decision_id: str | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to write one job, until another one takes it."""

    job: Job
    fence: int
    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """Durations and counts; the settings of the same names say what they are for."""

    lease: timedelta = timedelta(seconds=30)
    retention: timedelta = timedelta(hours=24)
    max_attempts: int = 3
    max_queued: int = 1000
    max_running: int = 8


class JobStore:
    """All reads and writes of the job table."""

    def __init__(
        self,
        database: Database,
        limits: JobLimits,
        *,
        clock: Callable[[], datetime],
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._token_bytes = token_bytes

    def submit(self, new: NewJob) -> tuple[Job, bool]:
        """Write a queued job and reserve its media id.

        Returns the job and whether it is new: the same idempotency key returns the first job.
        Raises `Problem` 422 when the key was used for another request, 429 when the queue is full.
        """
        try:
            with self._database.writing() as connection:
                known = self._known(connection, new)
                return (known, False) if known else (self._insert(connection, new), True)
        except IntegrityError:  # another process inserted the same key in between
            with self._database.reading() as connection:
                known = self._known(connection, new)
            if known is None:
                raise
            return known, False

    def recent(self, tenant: str, digest: str, window: timedelta) -> Job | None:
        """The newest live job of the same request within `window`: a client's automatic retry."""
        query = _visible(tenant).where(
            jobs.c.request_digest == digest,
            jobs.c.created_at >= self._clock() - window,
            jobs.c.status != FAILED,
        )
        with self._database.reading() as connection:
            return _first(connection, query.order_by(jobs.c.created_at.desc()))

    def find(self, tenant: str, job_id: str) -> Job | None:
        """The job, unless it is another tenant's or deleted."""
        with self._database.reading() as connection:
            return _first(connection, _visible(tenant).where(jobs.c.id == job_id))

    def get(self, tenant: str, job_id: str) -> Job:
        """As `find`; raises `Problem` 404."""
        job = self.find(tenant, job_id)
        if job is None:
            raise Problem(404, "not_found", f"There is no job {job_id[:80]!r}.", param="video_id")
        return job

    def page(
        self, tenant: str, kind: str, *, after: str | None = None, limit: int = 20, newest_first: bool = True
    ) -> tuple[list[Job], bool]:
        """Up to `limit` jobs that follow job `after`, and whether there are more."""
        query = _visible(tenant).where(jobs.c.kind == kind)
        place = (jobs.c.created_at, jobs.c.id)
        with self._database.reading() as connection:
            if after is not None:
                start = _first(connection, select(jobs).where(jobs.c.id == after, jobs.c.tenant == tenant))
                if start is None:
                    raise Problem(400, "bad_cursor", f"after: there is no job {after[:80]!r}.", param="after")
                query = query.where(_follows(start, newest_first))
            ordered = query.order_by(*(column.desc() if newest_first else column for column in place))
            rows = _all(connection, ordered.limit(limit + 1))
        return rows[:limit], len(rows) > limit

    def delete(self, tenant: str, job_id: str) -> Job:
        """Hide the job and forget its texts. If it waits it never starts; if it runs it stops soon."""
        job = self.get(tenant, job_id)
        now, silent = self._clock(), {**job.request, "prompt": "", "negative_prompt": ""}
        with self._database.writing() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.status == QUEUED)
                .values(**_failure(now, CANCELLED_CODE, "Deleted before it started."))
            )
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id)
                .values(deleted_at=now, cancel_requested=True, request=silent)
            )
        return job

    def cancel(self, tenant: str, job_id: str) -> Job:
        """Stop the job but keep it visible, as failed with the code `cancelled`."""
        self.get(tenant, job_id)
        with self._database.writing() as connection:
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.status == QUEUED)
                .values(**_failure(self._clock(), CANCELLED_CODE, "Cancelled before it started."))
            )
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.status == IN_PROGRESS)
                .values(cancel_requested=True)
            )
        return self.get(tenant, job_id)

    def claim(self, worker: str) -> Lease | None:
        """Lease the next job: highest priority, then the tenant served longest ago, then oldest.

        A job whose lease ran out is next of its tenant, until its attempts are used up.
        """
        for _ in range(CLAIM_TRIES):
            now = self._clock()
            with self._database.writing() as connection:
                self._bury(connection, now)
                job = _first(connection, self._next(now))
                if job is None:
                    return None
                lease = self._take(connection, job, worker, now)
                if lease is not None:
                    return lease
        return None

    def heartbeat(self, lease: Lease, progress: int | None = None) -> None:
        """Extend the lease and note the progress in per cent.

        Raises `LeaseLostError` when another worker has the job, `JobCancelledError` when it is
        no longer wanted.
        """
        values: dict[str, Any] = {"lease_until": self._clock() + self._limits.lease}
        if progress is not None:
            values["progress"] = progress
        with self._database.writing() as connection:
            row = connection.execute(_held(lease).values(**values).returning(jobs.c.cancel_requested)).first()
        if row is None:
            raise LeaseLostError(f"{lease.job.id}: fence {lease.fence} is no longer current")
        if row.cancel_requested:
            raise JobCancelledError(lease.job.id)

    def publish(self, lease: Lease, record: Record, result: Mapping[str, Any]) -> None:
        """Register the record and complete the job, in one transaction.

        Raises `LeaseLostError`, and leaves nothing behind, when the lease is no longer held.
        """
        now = self._clock()
        with self._database.writing() as connection:
            done = connection.execute(
                _held(lease).values(
                    status=COMPLETED,
                    progress=100,
                    result=dict(result),
                    completed_at=now,
                    expires_at=now + self._limits.retention,
                    lease_until=None,
                )
            )
            if done.rowcount != 1:
                raise LeaseLostError(f"{lease.job.id}: fence {lease.fence} is no longer current")
            insert_record(connection, record)

    def fail(self, lease: Lease, code: str, message: str) -> None:
        """End the job without an output. A lost lease is no error: the job is somebody else's."""
        with self._database.writing() as connection:
            connection.execute(_held(lease).values(**_failure(self._clock(), code, message)))

    def give_back(self, lease: Lease) -> None:
        """Queue the job again without counting the attempt: the worker was told to stop."""
        with self._database.writing() as connection:
            connection.execute(
                _held(lease).values(
                    status=QUEUED, worker=None, lease_until=None, progress=0, attempts=jobs.c.attempts - 1
                )
            )

    def release_worker(self, worker: str) -> int:
        """End the leases of a worker known to be dead, so that nobody waits for them to run out."""
        with self._database.writing() as connection:
            done = connection.execute(
                update(jobs)
                .where(jobs.c.worker == worker, jobs.c.status == IN_PROGRESS)
                .values(lease_until=self._clock())
            )
        return done.rowcount

    def expire(self) -> list[Job]:
        """Completed jobs whose file is past its retention or was deleted; their result is cleared."""
        due = and_(
            jobs.c.status == COMPLETED,
            jobs.c.result.is_not(None),
            or_(jobs.c.expires_at <= self._clock(), jobs.c.deleted_at.is_not(None)),
        )
        with self._database.writing() as connection:
            gone = _all(connection, select(jobs).where(due))
            connection.execute(
                update(jobs).where(jobs.c.id.in_([job.id for job in gone])).values(result=None)
            )
        return gone

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        query = select(jobs.c.status, func.count()).group_by(jobs.c.status)
        with self._database.reading() as connection:
            found = {status: int(count) for status, count in connection.execute(query).all()}
        return {status: found.get(status, 0) for status in (QUEUED, IN_PROGRESS, COMPLETED, FAILED)}

    def _known(self, connection: Connection, new: NewJob) -> Job | None:
        if new.idempotency_key is None:
            return None
        query = select(jobs).where(jobs.c.tenant == new.tenant, jobs.c.idempotency_key == new.idempotency_key)
        job = _first(connection, query)
        if job is not None and job.request_digest != new.digest:
            raise Problem(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key was sent with a different request before.",
            )
        return job

    def _insert(self, connection: Connection, new: NewJob) -> Job:
        now = self._clock()
        ensure_tenant(connection, new.tenant, now)
        waiting = select(func.count()).where(jobs.c.tenant == new.tenant, jobs.c.status == QUEUED)
        if (connection.scalar(waiting) or 0) >= self._limits.max_queued:
            raise Problem(
                429,
                "queue_full",
                f"{self._limits.max_queued} jobs are waiting already; try again later.",
                retry=True,
                headers={"retry-after": "30"},
            )
        media_id = reserve_media_id(connection, self._token_bytes, now)
        row = connection.execute(
            insert(jobs)
            .values(
                id=f"{new.kind}_{self._token_bytes(16).hex()}",
                tenant=new.tenant,
                kind=new.kind,
                status=QUEUED,
                priority=new.priority,
                progress=0,
                model=new.model,
                request=dict(new.request),
                request_digest=new.digest,
                idempotency_key=new.idempotency_key,
                media_id=media_id.value,
                decision_id=new.decision_id,
                attempts=0,
                fence=0,
                cancel_requested=False,
                created_at=now,
            )
            .returning(jobs)
        ).one()
        return Job(**row._mapping)

    def _next(self, now: datetime) -> Select[Any]:
        """The best job of every tenant through the index, then the best of those."""
        other = jobs.alias("other")
        running = (
            select(func.count())
            .where(other.c.tenant == tenants.c.name, other.c.status == IN_PROGRESS, other.c.lease_until > now)
            .correlate(tenants)
            .scalar_subquery()
        )
        mine = jobs.alias("mine")
        first = (
            select(mine.c.id)
            .where(
                mine.c.tenant == tenants.c.name,
                or_(mine.c.status == QUEUED, and_(mine.c.status == IN_PROGRESS, mine.c.lease_until <= now)),
            )
            .order_by(mine.c.priority.desc(), mine.c.created_at)
            .limit(1)
            .correlate(tenants)
            .scalar_subquery()
        )
        return (
            select(jobs)
            .join(tenants, jobs.c.id == first)
            .where(running < self._limits.max_running)
            .order_by(jobs.c.priority.desc(), tenants.c.served_at.asc().nulls_first(), jobs.c.created_at)
            .limit(1)
        )

    def _take(self, connection: Connection, job: Job, worker: str, now: datetime) -> Lease | None:
        """Claim by compare-and-swap on the fence; None when another worker was faster."""
        row = connection.execute(
            update(jobs)
            .where(jobs.c.id == job.id, jobs.c.fence == job.fence, jobs.c.status == job.status)
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
        connection.execute(update(tenants).where(tenants.c.name == job.tenant).values(served_at=now))
        claimed = Job(**row._mapping)
        return Lease(claimed, claimed.fence, worker)

    def _bury(self, connection: Connection, now: datetime) -> None:
        """Fail jobs that nobody works on and that must not start again."""
        stale = and_(jobs.c.status == IN_PROGRESS, jobs.c.lease_until <= now)
        connection.execute(
            update(jobs)
            .where(stale, jobs.c.cancel_requested)
            .values(**_failure(now, CANCELLED_CODE, "Cancelled."))
        )
        message = f"The job was started {self._limits.max_attempts} times and its worker died each time."
        connection.execute(
            update(jobs)
            .where(stale, jobs.c.attempts >= self._limits.max_attempts)
            .values(**_failure(now, ATTEMPTS_CODE, message))
        )


def _failure(now: datetime, code: str, message: str) -> dict[str, Any]:
    return {
        "status": FAILED,
        "error_code": code,
        "error_message": message,
        "completed_at": now,
        "lease_until": None,
    }


def _held(lease: Lease) -> Update:
    return update(jobs).where(
        jobs.c.id == lease.job.id,
        jobs.c.fence == lease.fence,
        jobs.c.worker == lease.worker,
        jobs.c.status == IN_PROGRESS,
    )


def _visible(tenant: str) -> Select[Any]:
    return select(jobs).where(jobs.c.tenant == tenant, jobs.c.deleted_at.is_(None))


def _follows(start: Job, newest_first: bool) -> Any:
    created, key = jobs.c.created_at, jobs.c.id
    if newest_first:
        return or_(created < start.created_at, and_(created == start.created_at, key < start.id))
    return or_(created > start.created_at, and_(created == start.created_at, key > start.id))


def _first(connection: Connection, query: Select[Any]) -> Job | None:
    row = connection.execute(query.limit(1)).first()
    return None if row is None else Job(**row._mapping)


def _all(connection: Connection, query: Select[Any]) -> list[Job]:
    return [Job(**row._mapping) for row in connection.execute(query)]
