"""Who did what to whom: written with every change that an operator or a key's owner makes, never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from service.store.database import Database
from service.store.tables import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One row of `audit`."""

    id: int
    at: datetime
    actor: str
    tenant: str | None
    action: str
    target: str | None
    request_id: str | None
    detail: dict[str, Any]


class AuditLog:
    """Append-only: there is no method that changes or removes a row."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        actor: str,
        action: str,
        *,
        tenant: str | None = None,
        target: str | None = None,
        request_id: str | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down what `actor` did. `detail` holds no secrets and no prompts."""
        with self._database.writing() as connection:
            connection.execute(
                insert(audit).values(
                    at=self._clock(),
                    actor=actor,
                    tenant=tenant,
                    action=action,
                    target=target,
                    request_id=request_id,
                    detail=dict(detail or {}),
                )
            )

    def newest(self, limit: int = 100, *, tenant: str | None = None) -> list[AuditEntry]:
        """The newest entries first."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if tenant is not None:
            query = query.where(audit.c.tenant == tenant)
        with self._database.reading() as connection:
            return [AuditEntry(**row._mapping) for row in connection.execute(query)]
