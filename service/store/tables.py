"""The tables. SQLite and PostgreSQL hold the same schema; `migrations/` creates it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class UtcTime(TypeDecorator[datetime]):
    """An aware moment. SQLite keeps no zone, so every value is stored and returned in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

tenants = Table(
    "tenants",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("served_at", UtcTime),  # when a job of this tenant was last started: fair share
    Column("created_at", UtcTime, nullable=False),
)

# One row per id ever drawn, kept for ever: an id that a failed or deleted job used is not used again.
media_ids = Table(
    "media_ids",
    metadata,
    Column("value", BigInteger, primary_key=True, autoincrement=False),
    Column("reserved_at", UtcTime, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", ForeignKey("tenants.name"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("progress", Integer, nullable=False),
    Column("model", String(200), nullable=False),
    Column("request", JSON, nullable=False),
    Column("request_digest", String(64), nullable=False),
    Column("idempotency_key", String(255)),
    Column("media_id", ForeignKey("media_ids.value"), nullable=False, unique=True),
    Column("decision_id", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("worker", String(128)),
    Column("lease_until", UtcTime),
    Column("cancel_requested", Boolean(create_constraint=False), nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("result", JSON(none_as_null=True)),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("completed_at", UtcTime),
    Column("expires_at", UtcTime),
    Column("deleted_at", UtcTime),
    UniqueConstraint("tenant", "idempotency_key"),
    CheckConstraint("status IN ('queued', 'in_progress', 'completed', 'failed')", name="status"),
    Index("ix_jobs_next", "tenant", "status", "priority", "created_at"),
    Index("ix_jobs_lease", "status", "lease_until"),
    Index("ix_jobs_listing", "tenant", "kind", "created_at", "id"),
)

records = Table(
    "records",
    metadata,
    Column("media_id", ForeignKey("media_ids.value"), primary_key=True),
    Column("key_id", String(32), nullable=False),
    Column("manifest_label", String(255), unique=True),
    Column("manifest", LargeBinary),
    Column("fingerprint", LargeBinary),
    Column("digests", JSON, nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("policy", JSON(none_as_null=True)),
    Column("model", JSON(none_as_null=True)),
    Column("file_sha256", String(64)),
    Column("created_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("stage", String(32), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("policy", String(200), nullable=False),
    Column("handle", String(64), nullable=False),  # keyed digest of the texts, never the texts
    Column("detail", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_decisions_listing", "tenant", "created_at"),
)

workers = Table(
    "workers",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("model", String(200), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", ForeignKey("tenants.name"), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of 256 random bits
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)
