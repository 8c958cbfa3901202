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
    Date,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
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
    Column("served_at", UtcTime),  # when a job of this tenant was last started: breaks ties of the fair share
    Column("created_at", UtcTime, nullable=False),
    # Start-time fair queueing (service/jobs/claiming.py): work in credits, divided by the weight.
    Column("weight", Float, nullable=False, server_default="1"),
    Column("work_started", Float, nullable=False, server_default="0"),
    Column("work_finished", Float, nullable=False, server_default="0"),
    # What this tenant may have; NULL means the setting of the installation.
    Column("max_queued", Integer),
    Column("max_running", Integer),
    Column("max_priority", Integer),
    Column("daily_credits", Integer),
    Column("retention_hours", Float),
    Column("max_stored_bytes", BigInteger),
    Index("ix_tenants_work", "work_started"),
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
    Column("credits", Integer, nullable=False, server_default="0"),
    Column("from_retry", Boolean(create_constraint=False), nullable=False, server_default=text("false")),
    Column("attempts", Integer, nullable=False),
    Column("quality_retries", Integer, nullable=False, server_default="0"),
    Column("fence", BigInteger, nullable=False),
    Column("worker", String(128)),
    Column("lease_until", UtcTime),
    Column("cancel_requested", Boolean(create_constraint=False), nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("result", JSON(none_as_null=True)),
    Column("stored_bytes", BigInteger, nullable=False, server_default="0"),
    Column("traceparent", String(64)),  # W3C trace context of the request that made it
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("completed_at", UtcTime),
    Column("expires_at", UtcTime),
    Column("deleted_at", UtcTime),
    UniqueConstraint("tenant", "idempotency_key"),
    CheckConstraint("status IN ('queued', 'in_progress', 'completed', 'failed')", name="status"),
    Index("ix_jobs_queue", "status", "model", "priority", "tenant", "created_at"),
    Index("ix_jobs_digest", "tenant", "request_digest", "created_at"),
    Index("ix_jobs_lease", "status", "lease_until"),
    Index("ix_jobs_listing", "tenant", "kind", "created_at", "id"),
    Index("ix_jobs_stored", "tenant", "stored_bytes"),
    Index("ix_jobs_expiry", "status", "expires_at"),
)

# One row per job that costs something, so that no job is ever charged twice.
charges = Table(
    "charges",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    Column("tenant", ForeignKey("tenants.name"), nullable=False),
    Column("day", Date, nullable=False),  # UTC day whose allowance it uses
    Column("credits", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("held_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    CheckConstraint("state IN ('held', 'settled', 'released')", name="state"),
    Index("ix_charges_day", "tenant", "day"),
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

# One row per scene of a record: what `SimilarMedia` searches.
fingerprints = Table(
    "fingerprints",
    metadata,
    Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    Column("media_id", ForeignKey("records.media_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at_ms", Integer, nullable=False),
    Column("pdq", LargeBinary, nullable=False),
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
    Column("replaced_by", String(32)),  # the key that rotation issued in its place
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", ForeignKey("tenants.name"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("url", String(2048), nullable=False),
    Column("event_types", JSON, nullable=False),
    Column("secret", String(100), nullable=False),  # signs, so it cannot be stored as a digest
    Column("old_secret", String(100)),
    Column("old_secret_until", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("disabled_at", UtcTime),
    Index("ix_webhook_endpoints_tenant", "tenant", "created_at"),
)

# The outbox: a row is written in the transaction that ends the job, and sent by whoever comes first.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("endpoint_id", ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", String(40), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", UtcTime),  # NULL: delivered or given up
    Column("delivered_at", UtcTime),
    Column("last_status", Integer),
    Column("last_error", String(300)),
    Column("created_at", UtcTime, nullable=False),
    Index("ix_webhook_deliveries_due", "next_at"),
    Index("ix_webhook_deliveries_log", "endpoint_id", "created_at"),
)

characters = Table(
    "characters",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", ForeignKey("tenants.name"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("path", String(1024), nullable=False),
    Column("consents", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

# Who did what to whom; nothing updates or removes a row.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("tenant", String(64)),
    Column("action", String(64), nullable=False),
    Column("target", String(128)),
    Column("request_id", String(64)),
    Column("detail", JSON, nullable=False),
    Index("ix_audit_listing", "tenant", "at"),
)

# One row per refusal that somebody objected to; the outcome is written once.
appeals = Table(
    "appeals",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("decision_id", ForeignKey("decisions.id"), nullable=False, unique=True),
    Column("tenant", String(64), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("policy", String(200), nullable=False),
    Column("statement", Text, nullable=False),
    Column("filed_at", UtcTime, nullable=False),
    Column("decided_at", UtcTime),
    Column("outcome", String(16)),
    Column("note", Text),
    Column("reviewer", String(128)),
    CheckConstraint("outcome IN ('upheld', 'reversed')", name="outcome"),
    Index("ix_appeals_listing", "tenant", "filed_at"),
)
