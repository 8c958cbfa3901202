"""What operators see: the queue, decisions and marks of every tenant. Prompts are never read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, Select, Table, and_, case, func, or_, select

from service.store.database import Database
from service.store.tables import decisions, jobs, records
from watermark import MediaId

WAITING = ("queued", "in_progress")
_JOB_COLUMNS = (
    jobs.c.id,
    jobs.c.tenant,
    jobs.c.kind,
    jobs.c.model,
    jobs.c.status,
    jobs.c.priority,
    jobs.c.progress,
    jobs.c.attempts,
    jobs.c.worker,
    jobs.c.error_code,
    jobs.c.created_at,
    jobs.c.started_at,
    jobs.c.completed_at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where a list goes on: after the row that was made at `moment` and has `key`."""

    limit: int = 50
    moment: datetime | None = None
    key: str | int | None = None


class Overview:
    """Reads only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tenants(self) -> list[dict[str, Any]]:
        """Waiting and running jobs of each tenant that has any, the longest queue first."""
        waiting = func.sum(case((jobs.c.status == "queued", 1), else_=0)).label("queued")
        running = func.sum(case((jobs.c.status == "in_progress", 1), else_=0)).label("in_progress")
        query = (
            select(jobs.c.tenant, waiting, running, func.min(jobs.c.created_at).label("oldest"))
            .where(jobs.c.status.in_(WAITING))
            .group_by(jobs.c.tenant)
            .order_by(waiting.desc(), jobs.c.tenant)
        )
        return self._rows(query)

    def jobs(
        self, page: Page, *, tenant: str | None = None, status: str | None = None
    ) -> list[dict[str, Any]]:
        """Jobs, newest first."""
        query = select(*_JOB_COLUMNS).where(jobs.c.deleted_at.is_(None))
        if tenant:
            query = query.where(jobs.c.tenant == tenant)
        if status:
            query = query.where(jobs.c.status == status)
        return self._rows(_newest(query, jobs, jobs.c.id, page))

    def decisions(
        self, page: Page, *, tenant: str | None = None, outcome: str | None = None, reason: str | None = None
    ) -> list[dict[str, Any]]:
        """Decisions of the guard, newest first; `reason` is the beginning of a reason code."""
        query = select(decisions)
        if tenant:
            query = query.where(decisions.c.tenant == tenant)
        if outcome:
            query = query.where(decisions.c.outcome == outcome)
        if reason:
            query = query.where(decisions.c.reason.startswith(reason, autoescape=True))
        return self._rows(_newest(query, decisions, decisions.c.id, page))

    def marks(
        self, page: Page, *, tenant: str | None = None, media_id: MediaId | None = None
    ) -> list[dict[str, Any]]:
        """Registered media, newest first, without manifests and fingerprints."""
        shown = [column for column in records.c if column.name not in ("manifest", "fingerprint", "digests")]
        query = select(*shown)
        if tenant:
            query = query.where(records.c.tenant == tenant)
        if media_id:
            query = query.where(records.c.media_id == media_id.value)
        return self._rows(_newest(query, records, records.c.media_id, page))

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        with self._database.reading() as connection:
            return [_plain(row) for row in connection.execute(query).mappings()]


def _newest(query: Select[Any], table: Table, key: Any, page: Page) -> Select[Any]:
    made = table.c.created_at
    if page.moment is not None:
        query = query.where(or_(made < page.moment, and_(made == page.moment, key < page.key)))
    return query.order_by(made.desc(), key.desc()).limit(page.limit)


def _plain(row: RowMapping) -> dict[str, Any]:
    return dict(row)
