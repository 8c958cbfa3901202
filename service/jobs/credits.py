"""What jobs cost: held when the job is queued, settled when it is published, released when it fails.

One row per job, changed only in the transaction that changes the job: no job is charged twice, none
without an output.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection, func, insert, select, update

from service.errors import Problem
from service.store.tables import charges

HELD, SETTLED, RELEASED = "held", "settled", "released"


def hold(
    connection: Connection, job_id: str, tenant: str, cost: int, *, limit: int | None, now: datetime
) -> None:
    """Reserve `cost` of the tenant's allowance of this UTC day. Raises `Problem` 429 when it is used up."""
    used = 0 if limit is None else spent(connection, tenant, now)
    if limit is not None and used + cost > limit:
        raise Problem(
            429,
            "daily_credits_used_up",
            f"This request costs {cost} credits; {max(0, limit - used)} of {limit} are left today (UTC).",
            code="insufficient_quota",
        )
    connection.execute(
        insert(charges).values(
            job_id=job_id, tenant=tenant, day=_day(now), credits=cost, state=HELD, held_at=now
        )
    )


def settle(connection: Connection, job_id: str, now: datetime) -> None:
    """The job has an output: the held credits are spent."""
    _end(connection, job_id, SETTLED, now)


def release(connection: Connection, job_id: str, now: datetime) -> None:
    """The job has no output: the held credits are the tenant's again."""
    _end(connection, job_id, RELEASED, now)


def spent(connection: Connection, tenant: str, now: datetime) -> int:
    """Credits that the tenant has spent or holds on the UTC day of `now`."""
    query = select(func.coalesce(func.sum(charges.c.credits), 0)).where(
        charges.c.tenant == tenant, charges.c.day == _day(now), charges.c.state != RELEASED
    )
    return int(connection.scalar(query) or 0)


def _end(connection: Connection, job_id: str, state: str, now: datetime) -> None:
    held = (charges.c.job_id == job_id) & (charges.c.state == HELD)
    connection.execute(update(charges).where(held).values(state=state, ended_at=now))


def _day(now: datetime) -> object:
    return now.astimezone(UTC).date()
