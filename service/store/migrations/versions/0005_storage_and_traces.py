"""What a tenant may keep and for how long, what a job's file takes, the trace that a job belongs to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("tenants", sa.Column("retention_hours", sa.Float(), nullable=True))
    op.add_column("tenants", sa.Column("max_stored_bytes", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("stored_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("traceparent", sa.String(length=64), nullable=True))
    op.create_index("ix_jobs_stored", "jobs", ["tenant", "stored_bytes"])
    # Jobs that are due to lose their file: a partial index would be smaller, and is not the same in both.
    op.create_index("ix_jobs_expiry", "jobs", ["status", "expires_at"])
