"""Perceptual hashes of released media, one row per scene, to be searched by likeness."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from provenance import Fingerprint, FingerprintError
from service.store.tables import fingerprints, records

revision = "0004"
down_revision = "0003"

BATCH = 500


def upgrade() -> None:
    op.create_table(
        "fingerprints",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("media_id", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.Integer(), nullable=False),
        sa.Column("pdq", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["media_id"], ["records.media_id"], name=op.f("fk_fingerprints_media_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fingerprints")),
    )
    op.create_index(op.f("ix_fingerprints_media_id"), "fingerprints", ["media_id"])
    _fill()


def _fill() -> None:
    connection, last = op.get_bind(), -1
    while rows := connection.execute(
        sa.select(records.c.media_id, records.c.fingerprint)
        .where(records.c.media_id > last, records.c.fingerprint.is_not(None))
        .order_by(records.c.media_id)
        .limit(BATCH)
    ).all():
        last = rows[-1].media_id
        for row in rows:
            try:
                scenes = Fingerprint.from_bytes(row.fingerprint).scenes()
            except FingerprintError:
                continue
            values = [{"media_id": row.media_id, "at_ms": s.at_ms, "pdq": s.pdq} for s in scenes]
            if values:
                connection.execute(sa.insert(fingerprints), values)
