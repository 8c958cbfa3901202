"""The registry of released media: id -> key, manifest, fingerprint. Records are only added and revoked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from provenance import Fingerprint, Record, RegistryError
from provenance.manifest import Model, PolicyRef
from service.store.database import Database
from service.store.tables import fingerprints, media_ids, records
from watermark import MediaId

RESERVE_TRIES = 16
"""Draws before giving up: with a billion ids taken out of 2**48, two collisions in a row do not happen."""


class SqlRegistry:
    """`provenance.Registry` on the database."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def by_media_id(self, media_id: MediaId) -> Record | None:
        with self._database.reading() as connection:
            row = connection.execute(
                select(records).where(records.c.media_id == media_id.value)
            ).one_or_none()
        return None if row is None else _record(row)

    def by_manifest_label(self, label: str) -> Record | None:
        with self._database.reading() as connection:
            row = connection.execute(select(records).where(records.c.manifest_label == label)).one_or_none()
        return None if row is None else _record(row)

    def label_of(self, media_id: MediaId) -> str | None:
        """The manifest of a medium, where there is one that was not revoked: one row, and none of its
        blobs."""
        query = select(records.c.manifest_label).where(
            records.c.media_id == media_id.value, records.c.revoked_at.is_(None)
        )
        with self._database.reading() as connection:
            return connection.scalar(query)

    def add(self, record: Record) -> None:
        """Store a record whose id was reserved. Raises `RegistryError` when the id or label is registered."""
        with self._database.writing() as connection:
            insert_record(connection, record)

    def reserve(self, token_bytes: Callable[[int], bytes]) -> MediaId:
        """A media id that was never drawn before and never will be again."""
        with self._database.writing() as connection:
            return reserve_media_id(connection, token_bytes, self._clock())

    def claim(self, media_id: MediaId) -> None:
        """Reserve an id that the caller chose. Raises `RegistryError` when it was used before."""
        try:
            with self._database.writing() as connection:
                connection.execute(insert(media_ids).values(value=media_id.value, reserved_at=self._clock()))
        except IntegrityError as error:
            raise RegistryError(
                f"media id {media_id.hex} was used before; leave it out to draw a new one"
            ) from error

    def delete(self, media_id: MediaId) -> bool:
        """Forget a record for good: manifest, fingerprint and digests. Its id is never used again.

        False where there is none. The mark is still read afterwards; it then names no record.
        """
        with self._database.writing() as connection:
            done = connection.execute(delete(records).where(records.c.media_id == media_id.value))
        return done.rowcount == 1

    def count_older(self, moment: datetime, tenant: str | None = None) -> int:
        """Records made before `moment`, of `tenant` or of all."""
        with self._database.reading() as connection:
            query = select(func.count()).select_from(records).where(_older(moment, tenant))
            return connection.scalar(query) or 0

    def delete_older(self, moment: datetime, tenant: str | None = None) -> int:
        """Forget the records made before `moment`, of `tenant` or of all; returns how many."""
        with self._database.writing() as connection:
            return connection.execute(delete(records).where(_older(moment, tenant))).rowcount

    def owner_of(self, media_id: MediaId) -> str | None:
        """The tenant of a record, or None where there is none."""
        with self._database.reading() as connection:
            return connection.scalar(select(records.c.tenant).where(records.c.media_id == media_id.value))

    def revoke(self, media_id: MediaId) -> bool:
        """Say from now on that the record no longer stands; False where there is none."""
        with self._database.writing() as connection:
            done = connection.execute(
                update(records)
                .where(records.c.media_id == media_id.value, records.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
        return done.rowcount == 1


def _older(moment: datetime, tenant: str | None) -> ColumnElement[bool]:
    older = records.c.created_at < moment
    return older if tenant is None else and_(older, records.c.tenant == tenant)


def insert_record(connection: Connection, record: Record) -> None:
    """Store `record` within the caller's transaction, and what it looks like."""
    scenes = () if record.fingerprint is None else record.fingerprint.scenes()
    hashes = [{"media_id": record.media_id.value, "at_ms": s.at_ms, "pdq": s.pdq} for s in scenes]
    try:
        connection.execute(insert(records).values(**_columns(record)))
        if hashes:
            connection.execute(insert(fingerprints), hashes)
    except IntegrityError as error:
        raise RegistryError(
            f"media id {record.media_id.hex} or manifest {record.manifest_label} is registered already, "
            "or the id was never reserved"
        ) from error


def reserve_media_id(connection: Connection, token_bytes: Callable[[int], bytes], now: datetime) -> MediaId:
    """Draw an id within the caller's transaction and write it down, so that it is never drawn again."""
    for _ in range(RESERVE_TRIES):
        media_id = MediaId.draw(token_bytes)
        taken = connection.scalar(select(media_ids.c.value).where(media_ids.c.value == media_id.value))
        if taken is None:
            connection.execute(insert(media_ids).values(value=media_id.value, reserved_at=now))
            return media_id
    raise RegistryError(
        f"{RESERVE_TRIES} random media ids in a row were taken: the random source repeats itself"
    )


def _columns(record: Record) -> dict[str, Any]:
    return {
        "media_id": record.media_id.value,
        "key_id": record.key_id,
        "manifest_label": record.manifest_label,
        "manifest": record.manifest,
        "fingerprint": None if record.fingerprint is None else record.fingerprint.to_bytes(),
        "digests": dict(record.digests),
        "tenant": record.tenant,
        "policy": None if record.policy is None else asdict(record.policy),
        "model": None if record.model is None else asdict(record.model),
        "file_sha256": record.file_sha256,
        "created_at": record.created_at,
        "revoked_at": record.revoked_at,
    }


def _record(row: Row[Any]) -> Record:
    return Record(
        media_id=MediaId(row.media_id),
        key_id=row.key_id,
        manifest_label=row.manifest_label,
        manifest=row.manifest,
        fingerprint=None if row.fingerprint is None else Fingerprint.from_bytes(row.fingerprint),
        created_at=row.created_at,
        tenant=row.tenant,
        policy=None if row.policy is None else PolicyRef(**row.policy),
        model=None if row.model is None else Model(**row.model),
        digests=row.digests,
        file_sha256=row.file_sha256,
        revoked_at=row.revoked_at,
    )
