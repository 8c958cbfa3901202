"""Events for webhooks, written in the transaction that makes them true (the "transactional outbox")."""

from __future__ import annotations

import json
import secrets
from datetime import datetime

from sqlalchemy import Connection, insert, select

from service.store.tables import webhook_deliveries, webhook_endpoints


def announce(connection: Connection, tenant: str, event_type: str, object_id: str, now: datetime) -> int:
    """Queue the event for every endpoint of the tenant that asked for its type; how many there are."""
    query = select(webhook_endpoints.c.id, webhook_endpoints.c.event_types).where(
        webhook_endpoints.c.tenant == tenant, webhook_endpoints.c.disabled_at.is_(None)
    )
    wanted = [row.id for row in connection.execute(query) if event_type in row.event_types]
    body = event_body(event_type, object_id, now)
    for endpoint in wanted:
        enqueue(connection, endpoint, body, now)
    return len(wanted)


def event_body(event_type: str, object_id: str, now: datetime) -> dict[str, object]:
    """One event as it is sent."""
    return {
        "id": f"evt_{secrets.token_hex(16)}",
        "object": "event",
        "created_at": int(now.timestamp()),
        "type": event_type,
        "data": {"id": object_id},
    }


def enqueue(connection: Connection, endpoint_id: str, body: dict[str, object], now: datetime) -> str:
    """Write one delivery, due now; its id."""
    delivery = f"whd_{secrets.token_hex(16)}"
    connection.execute(
        insert(webhook_deliveries).values(
            id=delivery,
            endpoint_id=endpoint_id,
            event_id=body["id"],
            event_type=body["type"],
            body=json.dumps(body, separators=(",", ":")),
            attempts=0,
            next_at=now,
            created_at=now,
        )
    )
    return delivery
