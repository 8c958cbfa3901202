"""Appeals against refusals, and how often they were right."""

from __future__ import annotations

import secrets
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from guard.transparency import Appeals
from service.store.database import Database
from service.store.tables import appeals, decisions

WINDOW = timedelta(days=183)
"""How long a refusal may be appealed: six months, Regulation (EU) 2022/2065, Article 20(1)."""
UPHELD, REVERSED = "upheld", "reversed"


class AppealError(Exception):
    """An appeal that cannot be filed or decided. `reason` is a stable word."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Appeal:
    """One appeal. `outcome` is `upheld` (the refusal stands), `reversed`, or None while it is open."""

    id: str
    decision_id: str
    tenant: str
    reason: str
    policy: str
    statement: str
    filed_at: datetime
    decided_at: datetime | None
    outcome: str | None
    note: str | None
    reviewer: str | None


class AppealStore:
    """Appeals in the database."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def file(self, tenant: str, decision_id: str, statement: str) -> Appeal:
        """Keep an appeal against a refusal of the tenant's.

        Raises `AppealError`: unknown_decision, not_refused, too_late, already_appealed.
        """
        now = self._clock()
        wanted = select(decisions).where(decisions.c.id == decision_id, decisions.c.tenant == tenant)
        values = {"id": f"appeal_{secrets.token_hex(12)}", "decision_id": decision_id, "tenant": tenant}
        try:
            with self._database.writing() as connection:
                decision = connection.execute(wanted).one_or_none()
                if decision is None:
                    raise AppealError("unknown_decision", f"There is no decision {decision_id[:80]!r}.")
                if decision.outcome == "allow":
                    raise AppealError("not_refused", "That request was not refused.")
                if now > decision.created_at + WINDOW:
                    raise AppealError("too_late", f"Refusals can be appealed for {WINDOW.days} days.")
                connection.execute(
                    insert(appeals).values(
                        **values,
                        reason=decision.reason,
                        policy=decision.policy,
                        statement=statement,
                        filed_at=now,
                    )
                )
        except IntegrityError as error:
            raise AppealError("already_appealed", "That decision has been appealed already.") from error
        return self._one(values["id"])

    def find(self, appeal_id: str, tenant: str | None = None) -> Appeal | None:
        """The appeal, where it is the tenant's; of anybody where `tenant` is None."""
        query = select(appeals).where(appeals.c.id == appeal_id)
        if tenant is not None:
            query = query.where(appeals.c.tenant == tenant)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _appeal(row)

    def page(self, tenant: str | None, *, open_only: bool, limit: int, after: str | None) -> list[Appeal]:
        """Appeals, oldest first, after the one with id `after`."""
        query = select(appeals).order_by(appeals.c.filed_at, appeals.c.id).limit(limit)
        if tenant is not None:
            query = query.where(appeals.c.tenant == tenant)
        if open_only:
            query = query.where(appeals.c.outcome.is_(None))
        last = self.find(after, tenant) if after else None
        if last is not None:
            later = appeals.c.filed_at > last.filed_at
            query = query.where(later | ((appeals.c.filed_at == last.filed_at) & (appeals.c.id > last.id)))
        with self._database.reading() as connection:
            return [_appeal(row) for row in connection.execute(query)]

    def decide(self, appeal_id: str, outcome: str, note: str, reviewer: str) -> Appeal:
        """Close an appeal. Raises `AppealError`: unknown_appeal, already_decided."""
        with self._database.writing() as connection:
            changed = connection.execute(
                update(appeals)
                .where(appeals.c.id == appeal_id, appeals.c.outcome.is_(None))
                .values(outcome=outcome, note=note, reviewer=reviewer, decided_at=self._clock())
            ).rowcount
        if not changed:
            known = self.find(appeal_id) is not None
            raise AppealError(
                "already_decided" if known else "unknown_appeal",
                "That appeal has been decided." if known else f"There is no appeal {appeal_id[:80]!r}.",
            )
        return self._one(appeal_id)

    def statistics(self, *, since: datetime | None = None, until: datetime | None = None) -> Appeals:
        """How the appeals filed from `since` up to `until` went."""
        query = select(appeals)
        if since is not None:
            query = query.where(appeals.c.filed_at >= since)
        if until is not None:
            query = query.where(appeals.c.filed_at < until)
        with self._database.reading() as connection:
            found = [_appeal(row) for row in connection.execute(query)]
        closed = [appeal for appeal in found if appeal.decided_at is not None]
        turned = [appeal for appeal in closed if appeal.outcome == REVERSED]
        decided, overturned = Counter(a.reason for a in closed), Counter(a.reason for a in turned)
        hours = [(a.decided_at - a.filed_at).total_seconds() / 3600 for a in closed if a.decided_at]
        return Appeals(
            filed=len(found),
            decided=len(closed),
            reversed=len(turned),
            median_hours=statistics.median(hours) if hours else None,
            by_reason={reason: (n, overturned[reason]) for reason, n in sorted(decided.items())},
        )

    def _one(self, appeal_id: str) -> Appeal:
        found = self.find(appeal_id)
        if found is None:
            raise AppealError("unknown_appeal", f"There is no appeal {appeal_id[:80]!r}.")
        return found


def _appeal(row: Row[tuple[object, ...]]) -> Appeal:
    return Appeal(**row._mapping)
