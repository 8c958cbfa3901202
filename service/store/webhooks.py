"""Webhook endpoints of tenants, and the log of what was sent to them."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update

from service.store.database import Database
from service.store.outbox import enqueue
from service.store.tables import webhook_deliveries, webhook_endpoints
from service.store.tenants import ensure_tenant

EVENT_TYPES = ("video.completed", "video.failed")
"""What an endpoint may ask for."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix, not a secret
SECRET_BYTES = 32
OVERLAP = timedelta(hours=24)
"""How long the old secret signs too, where the owner asks for it."""
RETRY_AFTER = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)
"""Pauses between attempts, as the Standard Webhooks specification suggests: ten attempts in three days."""
IN_FLIGHT = timedelta(minutes=1)
"""A delivery that a dead process was sending is sent again after this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One row of `webhook_endpoints`."""

    id: str
    tenant: str
    name: str
    url: str
    event_types: list[str]
    secret: str
    old_secret: str | None
    old_secret_until: datetime | None
    created_at: datetime
    updated_at: datetime
    disabled_at: datetime | None

    def secrets_at(self, now: datetime) -> tuple[str, ...]:
        """The secrets that sign now, the current one first."""
        if self.old_secret is None or self.old_secret_until is None or self.old_secret_until <= now:
            return (self.secret,)
        return self.secret, self.old_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of `webhook_deliveries`."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    body: str
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime


class WebhookStore:
    """Endpoints, each seen by its tenant alone, and their deliveries."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def add(self, tenant: str, *, name: str, url: str, event_types: Sequence[str]) -> Endpoint:
        """A new endpoint with a secret of its own."""
        now = self._clock()
        values = {
            "id": f"whe_{secrets.token_hex(16)}",
            "tenant": tenant,
            "name": name,
            "url": url,
            "event_types": sorted(set(event_types)),
            "secret": new_secret(),
            "created_at": now,
            "updated_at": now,
        }
        with self._database.writing() as connection:
            ensure_tenant(connection, tenant, now)
            row = connection.execute(
                insert(webhook_endpoints).values(**values).returning(webhook_endpoints)
            ).one()
        return Endpoint(**row._mapping)

    def find(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """The endpoint, unless it is another tenant's."""
        with self._database.reading() as connection:
            row = connection.execute(select(webhook_endpoints).where(_mine(tenant, endpoint_id))).first()
        return None if row is None else Endpoint(**row._mapping)

    def page(self, tenant: str, *, after: Endpoint | None, limit: int) -> tuple[list[Endpoint], bool]:
        """Endpoints in the order of their creation, and whether there are more."""
        place = (webhook_endpoints.c.created_at, webhook_endpoints.c.id)
        query = select(webhook_endpoints).where(webhook_endpoints.c.tenant == tenant).order_by(*place)
        if after is not None:
            later = place[0] > after.created_at
            query = query.where(or_(later, and_(place[0] == after.created_at, place[1] > after.id)))
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        return [Endpoint(**row._mapping) for row in rows[:limit]], len(rows) > limit

    def count(self, tenant: str) -> int:
        """How many endpoints the tenant has."""
        query = select(func.count()).where(webhook_endpoints.c.tenant == tenant)
        with self._database.reading() as connection:
            return int(connection.scalar(query) or 0)

    def change(self, tenant: str, endpoint_id: str, values: dict[str, Any]) -> Endpoint | None:
        """Set name, url or event types; an endpoint that was disabled is asked again."""
        return self._update(tenant, endpoint_id, {**values, "disabled_at": None})

    def rotate(self, tenant: str, endpoint_id: str, *, overlap: bool) -> Endpoint | None:
        """A new secret; the old one signs too for `OVERLAP`, or no more."""
        now = self._clock()
        old: dict[str, Any] = {"old_secret": None, "old_secret_until": None}
        if overlap:
            old = {"old_secret": webhook_endpoints.c.secret, "old_secret_until": now + OVERLAP}
        return self._update(tenant, endpoint_id, {**old, "secret": new_secret()})

    def delete(self, tenant: str, endpoint_id: str) -> bool:
        """Forget the endpoint and its log; False where there is none."""
        with self._database.writing() as connection:
            done = connection.execute(delete(webhook_endpoints).where(_mine(tenant, endpoint_id)))
        return done.rowcount == 1

    def log(self, endpoint_id: str, limit: int = 100) -> list[Delivery]:
        """What was sent to an endpoint or waits to be, newest first."""
        query = select(webhook_deliveries).where(webhook_deliveries.c.endpoint_id == endpoint_id)
        ordered = query.order_by(webhook_deliveries.c.created_at.desc(), webhook_deliveries.c.id)
        with self._database.reading() as connection:
            return [Delivery(**row._mapping) for row in connection.execute(ordered.limit(limit))]

    def replay(self, endpoint_id: str, delivery_id: str) -> bool:
        """Send an event again, from the first attempt on; False where there is none."""
        mine = and_(webhook_deliveries.c.id == delivery_id, webhook_deliveries.c.endpoint_id == endpoint_id)
        again = {"attempts": 0, "next_at": self._clock(), "delivered_at": None}
        with self._database.writing() as connection:
            done = connection.execute(update(webhook_deliveries).where(mine).values(**again))
        return done.rowcount == 1

    def enqueue(self, endpoint_id: str, body: dict[str, object]) -> str:
        """Queue an event for one endpoint; the delivery's id."""
        with self._database.writing() as connection:
            return enqueue(connection, endpoint_id, body, self._clock())

    def take(self) -> tuple[Delivery, Endpoint] | None:
        """A delivery that is due. Nobody else gets it for as long as an attempt can last."""
        now = self._clock()
        due = (
            select(webhook_deliveries)
            .join(webhook_endpoints, webhook_endpoints.c.id == webhook_deliveries.c.endpoint_id)
            .where(webhook_deliveries.c.next_at <= now, webhook_endpoints.c.disabled_at.is_(None))
            .order_by(webhook_deliveries.c.next_at)
            .limit(1)
        )
        with self._database.reading() as connection:
            if connection.execute(due).first() is None:
                return None
        with self._database.writing() as connection:
            row = connection.execute(due.with_for_update(skip_locked=True, of=webhook_deliveries)).first()
            if row is None:
                return None
            one = webhook_deliveries.c.id == row.id
            taken = {"attempts": row.attempts + 1, "next_at": now + IN_FLIGHT}
            connection.execute(update(webhook_deliveries).where(one).values(**taken))
            of = webhook_endpoints.c.id == row.endpoint_id
            endpoint = connection.execute(select(webhook_endpoints).where(of)).one()
        return Delivery(**{**row._mapping, **taken}), Endpoint(**endpoint._mapping)

    def report(self, delivery: Delivery, *, status: int | None, error: str | None) -> None:
        """Note how an attempt ended: 2xx is the end, 410 disables the endpoint, anything else is repeated."""
        now = self._clock()
        delivered = status is not None and 200 <= status < 300
        gone = status == 410
        left = len(RETRY_AFTER) >= delivery.attempts and not delivered and not gone
        values = {
            "last_status": status,
            "last_error": None if error is None else error[:300],
            "delivered_at": now if delivered else None,
            "next_at": now + RETRY_AFTER[delivery.attempts - 1] if left else None,
        }
        with self._database.writing() as connection:
            one = webhook_deliveries.c.id == delivery.id
            connection.execute(update(webhook_deliveries).where(one).values(**values))
            if gone:
                of = webhook_endpoints.c.id == delivery.endpoint_id
                connection.execute(update(webhook_endpoints).where(of).values(disabled_at=now))

    def _update(self, tenant: str, endpoint_id: str, values: dict[str, Any]) -> Endpoint | None:
        change = update(webhook_endpoints).where(_mine(tenant, endpoint_id))
        with self._database.writing() as connection:
            row = connection.execute(
                change.values(**values, updated_at=self._clock()).returning(webhook_endpoints)
            ).first()
        return None if row is None else Endpoint(**row._mapping)


def new_secret() -> str:
    """256 random bits as the specification writes them."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _mine(tenant: str, endpoint_id: str) -> Any:
    return and_(webhook_endpoints.c.id == endpoint_id, webhook_endpoints.c.tenant == tenant)
