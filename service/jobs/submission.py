"""Jobs on their way in: written once, however often they are sent, as far as the tenant's limits go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, Row, func, insert, select
from sqlalchemy.exc import IntegrityError

from service.errors import Problem
from service.jobs import credits
from service.jobs.model import FAILED, QUEUED, Job, NewJob
from service.jobs.rows import Part, first, visible
from service.store.records import reserve_media_id
from service.store.signals import notify
from service.store.tables import jobs, tenants
from service.store.tenants import ensure_tenant

RETRY_WINDOW = timedelta(seconds=120)
"""The SDK repeats a request on its own for at most this long, without saying which one it repeats."""


class Submission(Part):
    """The part of the store that takes jobs."""

    def submit(self, new: NewJob) -> tuple[Job, bool]:
        """Write a queued job, reserve its media id, hold its credits.

        Returns the job and whether it is new: the same idempotency key, or a client's automatic retry,
        returns the first job. Raises `Problem` 422 when the key was used for another request, 403 when
        the priority is above the tenant's, 429 when the queue is full or the day's credits are used up.
        """
        try:
            with self._database.writing() as connection:
                limits = self._lock_tenant(connection, new.tenant)
                known = self._known(connection, new)
                return (known, False) if known else (self._insert(connection, new, limits), True)
        except IntegrityError:  # another process inserted the same key in between
            known = self.known(new)
            if known is None:
                raise
            return known, False

    def known(self, new: NewJob) -> Job | None:
        """The job that `new` repeats. Raises `Problem` 422 as `submit` does."""
        with self._database.reading() as connection:
            return self._known(connection, new)

    def _lock_tenant(self, connection: Connection, name: str) -> Row[tuple[object, ...]]:
        """The tenant's row, which nobody else submits or claims for until the transaction ends."""
        ensure_tenant(connection, name, self._clock())
        return connection.execute(
            select(tenants).where(tenants.c.name == name).with_for_update(key_share=True)
        ).one()

    def _known(self, connection: Connection, new: NewJob) -> Job | None:
        if new.idempotency_key is not None:
            return self._keyed(connection, new)
        alive = visible(new.tenant).where(jobs.c.request_digest == new.digest, jobs.c.status != FAILED)
        if new.automatic:
            alive = alive.where(jobs.c.created_at >= self._clock() - RETRY_WINDOW)
        elif new.arrived_at is not None:  # the retry may overtake a request that is still being checked
            alive = alive.where(jobs.c.from_retry, jobs.c.created_at >= new.arrived_at)
        else:
            return None
        return first(connection, alive.order_by(jobs.c.created_at.desc()))

    def _keyed(self, connection: Connection, new: NewJob) -> Job | None:
        query = select(jobs).where(jobs.c.tenant == new.tenant, jobs.c.idempotency_key == new.idempotency_key)
        job = first(connection, query)
        if job is not None and job.request_digest != new.digest:
            raise Problem(
                422,
                "idempotency_key_reused",
                "This Idempotency-Key was sent with a different request before.",
            )
        return job

    def _insert(self, connection: Connection, new: NewJob, tenant: Row[tuple[object, ...]]) -> Job:
        now = self._clock()
        own = tenant._mapping
        self._check_limits(
            connection,
            new,
            max_queued=_or(own["max_queued"], self._limits.max_queued),
            max_priority=_or(own["max_priority"], self._limits.max_priority),
            max_stored=_or(own["max_stored_bytes"], self._limits.max_stored_bytes),
        )
        media_id = reserve_media_id(connection, self._token_bytes, now)
        job_id = f"{new.kind}_{self._token_bytes(16).hex()}"
        row = connection.execute(
            insert(jobs)
            .values(
                id=job_id,
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
                credits=new.credits,
                from_retry=new.automatic,
                traceparent=new.traceparent,
                attempts=0,
                quality_retries=0,
                fence=0,
                cancel_requested=False,
                created_at=now,
            )
            .returning(jobs)
        ).one()
        limit = self._limits.daily_credits if own["daily_credits"] is None else own["daily_credits"]
        credits.hold(connection, job_id, new.tenant, new.credits, limit=limit, now=now)
        notify(connection)
        return Job(**row._mapping)

    def _check_limits(
        self,
        connection: Connection,
        new: NewJob,
        *,
        max_queued: int,
        max_priority: int,
        max_stored: int | None,
    ) -> None:
        if new.priority > max_priority:
            raise Problem(
                403,
                "priority_not_allowed",
                f"priority: {new.priority} is above {max_priority}, the highest that you may ask for.",
                param="priority",
            )
        waiting = select(func.count()).where(jobs.c.tenant == new.tenant, jobs.c.status == QUEUED)
        if (connection.scalar(waiting) or 0) >= max_queued:
            raise Problem(
                429,
                "queue_full",
                f"{max_queued} jobs are waiting already; try again later.",
                retry=True,
                headers={"retry-after": "30"},
            )

        if max_stored is not None and _stored(connection, new.tenant) >= max_stored:
            raise Problem(
                429,
                "storage_quota",
                f"Your files take up the {max_stored} bytes that you may keep. Delete some, or wait until "
                "they are past their retention.",
                code="insufficient_quota",
            )

    def stored_bytes(self, tenant: str | None = None) -> int:
        """What the files of one tenant, or of all, take up now."""
        with self._database.reading() as connection:
            return _stored(connection, tenant)

    def credits_left(self, tenant: str, now: datetime) -> int | None:
        """What is left of the day's credits; None where there is no limit."""
        with self._database.reading() as connection:
            own = connection.scalar(select(tenants.c.daily_credits).where(tenants.c.name == tenant))
            limit = self._limits.daily_credits if own is None else int(own)
            return None if limit is None else max(0, limit - credits.spent(connection, tenant, now))


Default = TypeVar("Default", int, int | None)


def _or(own: object, default: Default) -> int | Default:
    return own if isinstance(own, int) else default


def _stored(connection: Connection, tenant: str | None) -> int:
    query = select(func.sum(jobs.c.stored_bytes)).where(jobs.c.stored_bytes > 0)
    return int(connection.scalar(query if tenant is None else query.where(jobs.c.tenant == tenant)) or 0)
