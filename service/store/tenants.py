"""Tenants and their API keys. A key is shown once; the database holds its SHA-256 alone."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, or_, select, update

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
        query = select(api_keys).where(
            api_keys.c.digest == _digest(secret),
            api_keys.c.revoked_at.is_(None),
            or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > self._clock()),
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return ApiKey(
            id=row.id,
            tenant=row.tenant,
            scopes=tuple(row.scopes),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )

    def revoke(self, key_id: str) -> bool:
        """Refuse the key from now on; False where there is no such live key."""
        with self._database.writing() as connection:
            done = connection.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=self._clock())
            )
        return done.rowcount == 1


def ensure_tenant(connection: Connection, name: str, now: datetime) -> None:
    """Create the tenant's row unless it exists."""
    if connection.scalar(select(tenants.c.name).where(tenants.c.name == name)) is None:
        connection.execute(insert(tenants).values(name=name, created_at=now))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
