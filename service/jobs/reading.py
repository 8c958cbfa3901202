"""What clients and operators see of jobs, and how they end them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, update

from service.errors import Problem
from service.jobs.model import (
    ATTEMPTS_CODE,
    CANCELLED_CODE,
    COMPLETED,
    DISK_FULL_CODE,
    FAILED,
    IN_PROGRESS,
    QUEUED,
    Job,
)
from service.jobs.rows import Part, every, fail_rows, first, visible
from service.store.signals import notify
from service.store.tables import jobs
from watermark import MediaId

DEAD_CODES = (ATTEMPTS_CODE, DISK_FULL_CODE, "internal_error", "sampling_failed")
"""Ends that are the service's fault, not the request's: an operator may start these jobs again."""


class Reading(Part):
    """The part of the store that looks, cancels and deletes."""

    def find(self, tenant: str, job_id: str) -> Job | None:
        """The job, unless it is another tenant's or deleted."""
        with self._database.reading() as connection:
            return first(connection, visible(tenant).where(jobs.c.id == job_id))

    def anybodys(self, job_id: str) -> Job | None:
        """The job, whoever's it is, unless it is deleted: for those who hold a signed link to it."""
        query = select(jobs).where(jobs.c.id == job_id, jobs.c.deleted_at.is_(None))
        with self._database.reading() as connection:
            return first(connection, query)

    def find_many(self, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], Job]:
        """As `find`, for many pairs of tenant and id at once; those that are not there are left out."""
        ids = {job_id for _, job_id in wanted}
        query = select(jobs).where(jobs.c.id.in_(ids), jobs.c.deleted_at.is_(None))
        with self._database.reading() as connection:
            found = {(job.tenant, job.id): job for job in every(connection, query)}
        return {pair: found[pair] for pair in wanted if pair in found}

    def of_medium(self, media_id: MediaId) -> Job | None:
        """The job that made this medium, for operators; None where none did, or its texts were deleted."""
        made = select(jobs).where(jobs.c.media_id == media_id.value, jobs.c.status == COMPLETED)
        with self._database.reading() as connection:
            return first(connection, made.where(jobs.c.deleted_at.is_(None)))

    def get(self, tenant: str, job_id: str) -> Job:
        """As `find`; raises `Problem` 404."""
        return present(self.find(tenant, job_id), job_id)

    def page(
        self, tenant: str, kind: str, *, after: str | None = None, limit: int = 20, newest_first: bool = True
    ) -> tuple[list[Job], bool]:
        """Up to `limit` jobs that follow job `after`, and whether there are more."""
        query = visible(tenant).where(jobs.c.kind == kind)
        place = (jobs.c.created_at, jobs.c.id)
        with self._database.reading() as connection:
            if after is not None:
                start = first(connection, select(jobs).where(jobs.c.id == after, jobs.c.tenant == tenant))
                if start is None:
                    raise Problem(400, "bad_cursor", f"after: there is no job {after[:80]!r}.", param="after")
                query = query.where(_follows(start, newest_first))
            ordered = query.order_by(*(column.desc() if newest_first else column for column in place))
            rows = every(connection, ordered.limit(limit + 1))
        return rows[:limit], len(rows) > limit

    def delete(self, tenant: str, job_id: str) -> Job:
        """Hide the job and forget its texts. If it waits it never starts; if it runs it stops soon."""
        job = self.get(tenant, job_id)
        now, silent = self._clock(), {**job.request, "prompt": "", "negative_prompt": ""}
        with self._database.writing() as connection:
            waits = and_(jobs.c.id == job_id, jobs.c.status == QUEUED)
            fail_rows(connection, waits, now, CANCELLED_CODE, "Deleted before it started.")
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id)
                .values(deleted_at=now, cancel_requested=True, request=silent)
            )
        return job

    def cancel(self, tenant: str, job_id: str) -> Job:
        """Stop the job, which stays, as failed with the code `cancelled`. A job that ended stays as it is."""
        self.get(tenant, job_id)
        with self._database.writing() as connection:
            waits = and_(jobs.c.id == job_id, jobs.c.status == QUEUED)
            fail_rows(connection, waits, self._clock(), CANCELLED_CODE, "Cancelled before it started.")
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.status == IN_PROGRESS)
                .values(cancel_requested=True)
            )
        return self.get(tenant, job_id)

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        query = select(jobs.c.status, func.count()).group_by(jobs.c.status)
        with self._database.reading() as connection:
            found = {status: int(count) for status, count in connection.execute(query).all()}
        return {status: found.get(status, 0) for status in (QUEUED, IN_PROGRESS, COMPLETED, FAILED)}

    def oldest_queued(self) -> datetime | None:
        """When the job that has waited longest came in."""
        with self._database.reading() as connection:
            oldest = select(jobs.c.created_at).where(jobs.c.status == QUEUED).order_by(jobs.c.created_at)
            moment: datetime | None = connection.scalar(oldest.limit(1))
            return moment

    def dead(self, limit: int = 100) -> list[Job]:
        """Dead letters, newest first: jobs that failed for want of a working service."""
        query = select(jobs).where(
            jobs.c.status == FAILED, jobs.c.error_code.in_(DEAD_CODES), jobs.c.deleted_at.is_(None)
        )
        with self._database.reading() as connection:
            return every(connection, query.order_by(jobs.c.completed_at.desc()).limit(limit))

    def revive(self, job_id: str) -> bool:
        """Queue a dead letter again, with all its attempts; False where there is none of this id.

        Its credits were released when it failed and are not held again: the second try is on the house.
        """
        dead = and_(
            jobs.c.id == job_id,
            jobs.c.status == FAILED,
            jobs.c.error_code.in_(DEAD_CODES),
            jobs.c.deleted_at.is_(None),
        )
        fresh: dict[str, Any] = {
            "status": QUEUED,
            "attempts": 0,
            "quality_retries": 0,
            "progress": 0,
            "worker": None,
            "error_code": None,
            "error_message": None,
            "completed_at": None,
            "cancel_requested": False,
        }
        with self._database.writing() as connection:
            done = connection.execute(update(jobs).where(dead).values(**fresh))
            notify(connection)
        return done.rowcount == 1


def present(job: Job | None, job_id: str) -> Job:
    """The job. Raises `Problem` 404 where there is none."""
    if job is None:
        raise Problem(404, "not_found", f"There is no job {job_id[:80]!r}.", param="video_id")
    return job


def _follows(start: Job, newest_first: bool) -> Any:
    created, key = jobs.c.created_at, jobs.c.id
    if newest_first:
        return or_(created < start.created_at, and_(created == start.created_at, key < start.id))
    return or_(created > start.created_at, and_(created == start.created_at, key > start.id))
