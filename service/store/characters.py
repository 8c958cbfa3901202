"""Characters: clips that a tenant keeps as references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from service.store.database import Database
from service.store.tables import characters
from service.store.tenants import ensure_tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCharacter:
    """One row: where the clip is, and the consents that came with it."""

    id: str
    tenant: str
    name: str
    path: str
    consents: tuple[str, ...]
    created_at: datetime


class CharacterStore:
    """Reads and writes characters, each seen by its tenant alone."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def add(
        self, tenant: str, character_id: str, *, name: str, path: str, consents: Sequence[str]
    ) -> StoredCharacter:
        """Write a character down."""
        made = StoredCharacter(
            id=character_id,
            tenant=tenant,
            name=name,
            path=path,
            consents=tuple(consents),
            created_at=self._clock(),
        )
        with self._database.writing() as connection:
            ensure_tenant(connection, tenant, made.created_at)
            connection.execute(
                insert(characters).values(
                    id=made.id,
                    tenant=tenant,
                    name=name,
                    path=path,
                    consents=list(consents),
                    created_at=made.created_at,
                )
            )
        return made

    def find(self, tenant: str, character_id: str) -> StoredCharacter | None:
        """The character, unless it is another tenant's."""
        query = select(characters).where(characters.c.id == character_id, characters.c.tenant == tenant)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        return StoredCharacter(**{**row._mapping, "consents": tuple(row.consents)})

    def delete(self, tenant: str, character_id: str) -> None:
        """Forget the character."""
        mine = (characters.c.id == character_id) & (characters.c.tenant == tenant)
        with self._database.writing() as connection:
            connection.execute(delete(characters).where(mine))
