"""Schema, registry, API keys and workers, on SQLite and on PostgreSQL."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, insert, select

from provenance import Model, PolicyRef, Record, RegistryError, fingerprint_media
from service.errors import ConfigurationError
from service.store.database import Database, open_database
from service.store.records import SqlRegistry
from service.store.tables import fingerprints, metadata, tenants
from service.store.tenants import KeyStore
from service.store.workers import WorkerStore
from tests.service.conftest import NOW, Clock
from watermark import MediaId, open_media, write_image


def test_migrations_make_the_declared_schema(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    database.migrate()
    database.ping()


@pytest.mark.parametrize(
    "url", ["sqlite:////nowhere/at/all.db", "mysql://x/y", "rubbish", "postgresql://a:pw@127.0.0.1:1/x"]
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match="database") as caught:
        open_database(url)
    assert "pw@" not in str(caught.value)


def test_moments_need_a_zone_and_come_back_in_utc(database: Database) -> None:
    with database.writing() as connection, pytest.raises(Exception, match="time zone"):
        connection.execute(insert(tenants).values(name="x", created_at=datetime(2026, 1, 1)))


@pytest.fixture
def registry(database: Database, clock: Clock) -> SqlRegistry:
    return SqlRegistry(database, clock=clock)


def a_record(media_id: MediaId, folder: Path) -> Record:
    picture = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    write_image(folder / "a.png", picture)
    return Record(
        media_id=media_id,
        key_id="0.15",
        manifest_label="urn:c2pa:1",
        manifest=bytes(range(256)),
        fingerprint=fingerprint_media(open_media(folder / "a.png")),
        created_at=NOW,
        tenant="ada",
        policy=PolicyRef("default", "1", "sha256:" + "0" * 64),
        model=Model("assay-tiny", "1"),
        digests={"prompt": "hmac-sha256:" + "0" * 64},
        file_sha256="1" * 64,
    )


def test_records_come_back_as_they_went_in(registry: SqlRegistry, tmp_path: Path) -> None:
    record = a_record(registry.reserve(lambda count: b"\7" * count), tmp_path)
    registry.add(record)
    assert registry.by_media_id(record.media_id) == record
    assert registry.by_manifest_label("urn:c2pa:1") == record
    assert registry.by_media_id(MediaId(5)) is None
    assert registry.by_manifest_label("urn:c2pa:2") is None


def test_a_record_is_added_once_and_under_a_reserved_id(registry: SqlRegistry, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="reserved"):
        registry.add(a_record(MediaId(5), tmp_path))
    registry.claim(MediaId(5))
    registry.add(a_record(MediaId(5), tmp_path))
    with pytest.raises(RegistryError, match="already"):
        registry.add(a_record(MediaId(5), tmp_path))
    with pytest.raises(RegistryError, match="used before"):
        registry.claim(MediaId(5))


def test_a_random_source_that_repeats_itself_is_refused(registry: SqlRegistry) -> None:
    registry.reserve(lambda count: bytes(count))
    with pytest.raises(RegistryError, match="repeats"):
        registry.reserve(lambda count: bytes(count))


def test_a_record_is_revoked_once(registry: SqlRegistry, tmp_path: Path) -> None:
    registry.claim(MediaId(5))
    registry.add(a_record(MediaId(5), tmp_path))
    assert registry.revoke(MediaId(5))
    assert not registry.revoke(MediaId(5))
    record = registry.by_media_id(MediaId(5))
    assert record is not None
    assert record.revoked_at == NOW


def test_api_keys(database: Database, clock: Clock) -> None:
    store = KeyStore(database, clock=clock)
    key, secret = store.issue("ada", ("generate",), lifetime=timedelta(days=1))
    assert store.check(secret) == key
    assert store.check(secret + "0") is None
    clock.forward(timedelta(days=1))
    assert store.check(secret) is None
    lasting, secret = store.issue("ada")
    assert store.revoke(lasting.id)
    assert not store.revoke(lasting.id)
    assert store.check(secret) is None
    with pytest.raises(ValueError, match="fly"):
        store.issue("ada", ("fly",))


def test_secrets_are_not_stored(tmp_path: Path, clock: Clock) -> None:
    database = open_database(f"sqlite:///{tmp_path}/keys.db")
    _, secret = KeyStore(database, clock=clock).issue("ada")
    database.close()
    assert secret.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_workers_are_alive_while_they_are_seen(database: Database, clock: Clock) -> None:
    workers = WorkerStore(database, clock=clock)
    workers.hello("a", "assay-tiny")
    workers.hello("b", "assay-tiny")
    clock.forward(timedelta(seconds=20))
    workers.seen("b")
    clock.forward(timedelta(seconds=20))
    assert [worker.name for worker in workers.alive(timedelta(seconds=30))] == ["b"]
    workers.goodbye("b")
    assert workers.alive(timedelta(seconds=30)) == []
    assert NOW.tzinfo is UTC


def test_deleted_records_are_gone_with_what_they_looked_like(
    registry: SqlRegistry, database: Database, tmp_path: Path
) -> None:
    ids = [MediaId(number) for number in (1, 2, 3)]
    for media_id in ids:
        registry.claim(media_id)
    for number, media_id in enumerate(ids):
        label, made = f"urn:c2pa:{number}", NOW - timedelta(days=100 * number)
        owner = "ada" if number < 2 else "bob"
        one = replace(a_record(media_id, tmp_path), manifest_label=label, created_at=made, tenant=owner)
        registry.add(one)
    assert [registry.owner_of(media_id) for media_id in ids] == ["ada", "ada", "bob"]
    assert registry.delete(ids[0])
    assert not registry.delete(ids[0])
    assert registry.by_media_id(ids[0]) is None
    assert registry.by_manifest_label("urn:c2pa:0") is None
    moment = NOW - timedelta(days=50)
    assert (registry.count_older(moment), registry.count_older(moment, "ada")) == (2, 1)
    assert registry.delete_older(moment, "bob") == 1
    assert registry.by_media_id(ids[1]) is not None
    assert registry.delete_older(moment) == 1
    with database.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(fingerprints)) == 0
    with pytest.raises(RegistryError, match="used before"):
        registry.claim(ids[0])
