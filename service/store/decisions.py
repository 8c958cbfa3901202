"""The log of what the guard decided. Texts are not in it: a keyed digest is."""

from __future__ import annotations

from sqlalchemy import insert, select

from guard import Decision
from service.store.database import Database
from service.store.tables import decisions


class DecisionLog:
    """Append-only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, decision: Decision) -> None:
        """Write one decision down."""
        with self._database.writing() as connection:
            connection.execute(
                insert(decisions).values(
                    id=decision.decision_id,
                    tenant=decision.tenant,
                    stage=decision.stage,
                    outcome=decision.outcome,
                    reason=decision.reason,
                    policy=decision.policy,
                    handle=decision.handle,
                    detail=decision.to_json(),
                    created_at=decision.at,
                )
            )

    def reasons(self, tenant: str) -> list[str]:
        """Reason codes of the tenant's refusals, oldest first."""
        query = (
            select(decisions.c.reason)
            .where(decisions.c.tenant == tenant, decisions.c.outcome != "allow")
            .order_by(decisions.c.created_at)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query))
