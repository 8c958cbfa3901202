"""Tenants and their API keys. A key is shown once; the database holds its SHA-256 alone."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from service.store.database import Database
from service.store.tables import api_keys, tenants

KEY_PREFIX = "assay_"
KEY_BYTES = 32
"""256 random bits: no salt or slow hash is needed against guessing."""
SCOPES = ("generate", "verify", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key, without its secret."""

    id: str
    tenant: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyStore:
    """Issues, checks and revokes API keys."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._token_bytes = token_bytes

    def issue(
        self,
        tenant: str,
        scopes: Sequence[str] = ("generate", "verify"),
        *,
        lifetime: timedelta | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key of `tenant` and its secret, which cannot be read again."""
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not scopes:
            raise ValueError(f"scopes: {', '.join(unknown) or 'none given'}; use {', '.join(SCOPES)}")
        now = self._clock()
        secret = KEY_PREFIX + self._token_bytes(KEY_BYTES).hex()
        key = ApiKey(
            id=f"key_{self._token_bytes(8).hex()}",
            tenant=tenant,
            scopes=tuple(scopes),
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
            revoked_at=None,
        )
        with self._database.writing() as connection:
            ensure_tenant(connection, tenant, now)
            connection.execute(
                insert(api_keys).values(
                    id=key.id,
                    tenant=tenant,
                    digest=_digest(secret),
                    scopes=list(scopes),
                    created_at=now,
                    expires_at=key.expires_at,
                )
            )
        return key, secret

    def check(self, secret: str) -> ApiKey | None:
        """The key of this secret, or None where it is unknown, expired or revoked."""
        return self.check_many([secret]).get(secret)

    def check_many(self, wanted: Collection[str]) -> dict[str, ApiKey]:
        """As `check`, for many secrets at once; those that are not good are left out."""
        digests = {_digest(secret): secret for secret in wanted}
        query = select(api_keys).where(
            api_keys.c.digest.in_(digests),
            api_keys.c.revoked_at.is_(None),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > self._clock()),
        )
        with self._database.reading() as connection:
            return {digests[row.digest]: _key(row) for row in connection.execute(query)}

    def keys(self, tenant: str | None = None) -> list[ApiKey]:
        """Every key, or those of one tenant, oldest first."""
        query = select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        if tenant is not None:
            query = query.where(api_keys.c.tenant == tenant)
        with self._database.reading() as connection:
            return [_key(row) for row in connection.execute(query)]

    def rotate(self, key_id: str, *, overlap: timedelta) -> tuple[ApiKey, str] | None:
        """A key in place of another one, which is refused after `overlap`; None where it is not live.

        The new one has the tenant, the scopes and the lifetime of the old one.
        """
        now = self._clock()
        live = (api_keys.c.id == key_id) & api_keys.c.revoked_at.is_(None)
        with self._database.reading() as connection:
            row = connection.execute(select(api_keys).where(live)).first()
        if row is None or (row.expires_at is not None and row.expires_at <= now):
            return None
        lifetime = None if row.expires_at is None else row.expires_at - row.created_at
        key, secret = self.issue(row.tenant, tuple(row.scopes), lifetime=lifetime)
        end = now + overlap if row.expires_at is None else min(row.expires_at, now + overlap)
        with self._database.writing() as connection:
            change = update(api_keys).where(live).values(expires_at=end, replaced_by=key.id)
            connection.execute(change)
        return key, secret

    def revoke(self, key_id: str) -> bool:
        """Refuse the key from now on; False where there is no such live key."""
        with self._database.writing() as connection:
            done = connection.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
        return done.rowcount == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """What one tenant may have. None: the setting of the installation."""

    name: str
    weight: float
    max_queued: int | None
    max_running: int | None
    max_priority: int | None
    daily_credits: int | None
    retention_hours: float | None
    max_stored_bytes: int | None


class TenantStore:
    """Reads and writes the limits of tenants."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def all(self) -> list[Tenant]:
        """Every tenant by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(*_TENANT_COLUMNS).order_by(tenants.c.name))
            return [Tenant(**row._mapping) for row in rows]

    def set_limits(self, name: str, **limits: float | None) -> Tenant:
        """Change the given limits of a tenant, which is created where it is new.

        Raises `ValueError` for a name that is no limit, a weight that is not above 0, a count below 0.
        """
        for limit, value in limits.items():
            if limit not in Tenant.__slots__ or limit == "name":
                raise ValueError(f"{limit} is no limit of a tenant")
            if limit == "weight" and (value is None or not 0 < value <= MAX_WEIGHT):
                raise ValueError(f"weight: {value}; use a number above 0, up to {MAX_WEIGHT:g}")
            if value is not None and value < 0 and limit != "max_priority":
                raise ValueError(f"{limit}: {value}; use 0 or more")
        with self._database.writing() as connection:
            ensure_tenant(connection, name, self._clock())
            mine = tenants.c.name == name
            if limits:
                connection.execute(update(tenants).where(mine).values(**limits))
            row = connection.execute(select(*_TENANT_COLUMNS).where(mine)).one()
        return Tenant(**row._mapping)


MAX_WEIGHT = 1000.0
_TENANT_COLUMNS = tuple(tenants.c[name] for name in Tenant.__slots__)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        id=row.id,
        tenant=row.tenant,
        scopes=tuple(row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )


def ensure_tenant(connection: Connection, name: str, now: datetime) -> None:
    """Create the tenant's row unless it exists."""
    if connection.scalar(select(tenants.c.name).where(tenants.c.name == name)) is None:
        connection.execute(insert(tenants).values(name=name, created_at=now))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
