"""What a worker writes about the job it holds. Every write names the fence, and a lost lease writes nothing.

A worker that dies stops extending its lease, and another one takes the job over with a higher fence.
Whatever the first one still tries to write fails (M. Kleppmann, "How to do distributed locking", 2016). The
output is published by one transaction: media record, charge and `completed` together, or none of them.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, or_, select, update

from provenance import Record
from service.errors import JobCancelledError, LeaseLostError, StorageError
from service.jobs import credits
from service.jobs.model import COMPLETED, IN_PROGRESS, QUEUED, Lease
from service.jobs.rows import Part, change_held, every, fail_rows, first, held
from service.store.outbox import announce
from service.store.records import insert_record
from service.store.signals import notify
from service.store.tables import jobs, tenants

log = logging.getLogger(__name__)

EXPIRED_AT_ONCE = 1000


class Leasing(Part):
    """The part of the store that workers write through."""

    def heartbeat(self, lease: Lease, progress: int | None = None) -> None:
        """Extend the lease and note the progress in per cent.

        Raises `LeaseLostError` when another worker has the job, `JobCancelledError` when it is
        no longer wanted.
        """
        values: dict[str, Any] = {"lease_until": self._clock() + self._limits.lease}
        if progress is not None:
            values["progress"] = progress
        with self._database.writing() as connection:
            row = connection.execute(
                change_held(lease).values(**values).returning(jobs.c.cancel_requested)
            ).first()
        _check(lease, row)

    def check(self, lease: Lease) -> None:
        """As `heartbeat`, without writing: what the sampling loop asks between two steps."""
        with self._database.reading() as connection:
            row = connection.execute(select(jobs.c.cancel_requested).where(held(lease))).first()
        _check(lease, row)

    def publish(self, lease: Lease, record: Record, result: Mapping[str, Any]) -> None:
        """Register the record, spend the credits, complete the job and tell those who wait for it, in one
        transaction.

        Calling it again after it succeeded changes nothing. Raises `LeaseLostError`, and leaves nothing
        behind, when the lease is no longer held.
        """
        now, job = self._clock(), lease.job
        done = change_held(lease).values(
            status=COMPLETED,
            progress=100,
            result=dict(result),
            completed_at=now,
            stored_bytes=int(result.get("bytes", 0)),
            expires_at=now + self._retention(job.tenant),
            lease_until=None,
        )
        with self._database.writing() as connection:
            if connection.execute(done).rowcount == 1:
                insert_record(connection, record)
                credits.settle(connection, job.id, now)
                announce(connection, job.tenant, f"{job.kind}.completed", job.id, now)
                return
            after = first(connection, select(jobs).where(jobs.c.id == job.id, jobs.c.fence == lease.fence))
        if after is None or after.status != COMPLETED or after.result != dict(result):
            raise LeaseLostError(f"{job.id}: fence {lease.fence} is no longer current")

    def _retention(self, tenant: str) -> timedelta:
        with self._database.reading() as connection:
            own = connection.scalar(select(tenants.c.retention_hours).where(tenants.c.name == tenant))
        return self._limits.retention if own is None else timedelta(hours=float(own))

    def fail(self, lease: Lease, code: str, message: str) -> None:
        """End the job without an output. A lost lease is no error: the job is somebody else's."""
        with self._database.writing() as connection:
            fail_rows(connection, held(lease), self._clock(), code, message)

    def give_back(self, lease: Lease) -> None:
        """Queue the job again without counting the attempt: the worker was told to stop."""
        with self._database.writing() as connection:
            connection.execute(change_held(lease).values(**_UNCOUNTED))
            notify(connection)

    def put_back(self, lease: Lease) -> bool:
        """Queue the job again for want of room for its file, as often as it may be started; False when that
        was often enough."""
        if lease.job.attempts >= self._limits.max_attempts:
            return False
        with self._database.writing() as connection:
            connection.execute(change_held(lease).values(**_AGAIN))
            notify(connection)
        return True

    def retry_quality(self, lease: Lease) -> bool:
        """Queue the job again with another seed, because its pictures were broken; no charge, no attempt.

        False when that was done `quality_retries` times, or the client chose the seed: then it fails.
        """
        job = lease.job
        if job.quality_retries >= self._limits.quality_retries or not job.request.get("seed_drawn"):
            return False
        again = {
            **_UNCOUNTED,
            "quality_retries": jobs.c.quality_retries + 1,
            "request": {**job.request, "seed": secrets.randbits(63)},
        }
        with self._database.writing() as connection:
            connection.execute(change_held(lease).values(**again))
            notify(connection)
        return True

    def release_worker(self, worker: str, told: bool = False) -> int:
        """End the leases of a worker known to be dead, so that nobody waits for them to run out; of a fleet
        those of all its workers, `NAME/1` and so on. One that was `told` to end has cost its job no attempt,
        even where it took too long and was killed.
        """
        names = or_(jobs.c.worker == worker, jobs.c.worker.startswith(f"{worker}/", autoescape=True))
        with self._database.writing() as connection:
            ended = _UNCOUNTED if told else {"lease_until": self._clock()}
            done = connection.execute(update(jobs).where(names, jobs.c.status == IN_PROGRESS).values(**ended))
            notify(connection)
        return done.rowcount

    def expire(self, remove: Callable[[str], None]) -> list[str]:
        """Call `remove` with the id of each completed job whose file is past its retention or was deleted,
        then forget the file. Where it raises `OSError` or `StorageError` the row stays, for the next time.
        """
        due = and_(
            jobs.c.status == COMPLETED,
            jobs.c.result.is_not(None),
            or_(jobs.c.expires_at <= self._clock(), jobs.c.deleted_at.is_not(None)),
        )
        with self._database.reading() as connection:
            found = [job.id for job in every(connection, select(jobs).where(due).limit(EXPIRED_AT_ONCE))]
        gone = []
        for job_id in found:
            try:
                remove(job_id)
            except (OSError, StorageError) as error:
                log.warning("job %s: its file cannot be removed: %s", job_id, error)
            else:
                gone.append(job_id)
        forget = update(jobs).where(jobs.c.id.in_(gone)).values(result=None, stored_bytes=0)
        if gone:
            with self._database.writing() as connection:
                connection.execute(forget)
        return gone


_AGAIN: dict[str, Any] = {"status": QUEUED, "worker": None, "lease_until": None, "progress": 0}
_UNCOUNTED: dict[str, Any] = {**_AGAIN, "attempts": jobs.c.attempts - 1}


def _check(lease: Lease, row: Any) -> None:
    if row is None:
        raise LeaseLostError(f"{lease.job.id}: fence {lease.fence} is no longer current")
    if row.cancel_requested:
        raise JobCancelledError(lease.job.id)
