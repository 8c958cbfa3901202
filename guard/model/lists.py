"""Lists as the engine sees them."""

from __future__ import annotations

from dataclasses import dataclass, field

from guard.location import Location


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list: a person with all their names, or one word or phrase."""

    id: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EntryList:
    """A list that conditions refer to by name. `kind` is `people`, `words`, `patterns` (RE2) or `digests`
    (SHA-256, hex)."""

    name: str
    kind: str
    entries: tuple[Entry, ...] = field(repr=False)
    at: Location
    source: str = ""
    licence: str = ""
    file: str | None = None
