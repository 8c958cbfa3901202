"""The registry: media id -> what was released under it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Protocol

from provenance.errors import RegistryError
from provenance.fingerprint import Fingerprint
from provenance.manifest import Model, PolicyRef
from watermark.payload import MediaId


@dataclass(frozen=True, kw_only=True)
class Record:
    """One released file. `manifest` is the C2PA manifest store as it was embedded; None where nothing was
    signed. `file_sha256` (hexadecimal) is of the whole released file: a C2PA hash leaves some bytes out.
    """

    media_id: MediaId
    key_id: str
    manifest_label: str | None
    manifest: bytes | None
    fingerprint: Fingerprint | None
    created_at: datetime
    tenant: str
    policy: PolicyRef | None = None
    model: Model | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    revoked_at: datetime | None = None
    file_sha256: str | None = None

    @cached_property
    def manifest_sha256(self) -> str | None:
        """Hexadecimal SHA-256 of `manifest`."""
        return None if self.manifest is None else hashlib.sha256(self.manifest).hexdigest()


class Registry(Protocol):
    """What `judge` asks. Both look-ups are exact; an unknown key gives None."""

    def by_media_id(self, media_id: MediaId) -> Record | None: ...
    def by_manifest_label(self, label: str) -> Record | None: ...


class InMemoryRegistry:
    """A registry that lives as long as the process: for tests and for use as a library."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._by_id: dict[MediaId, Record] = {}
        self._by_label: dict[str, Record] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Store `record`. An id or a label is never used twice: raises `RegistryError`."""
        if record.media_id in self._by_id:
            raise RegistryError(f"media id {record.media_id.hex} is registered already; draw a new one")
        if record.manifest_label is not None and record.manifest_label in self._by_label:
            raise RegistryError(f"manifest {record.manifest_label} is registered already")
        self._by_id[record.media_id] = record
        if record.manifest_label is not None:
            self._by_label[record.manifest_label] = record

    def by_media_id(self, media_id: MediaId) -> Record | None:
        return self._by_id.get(media_id)

    def by_manifest_label(self, label: str) -> Record | None:
        return self._by_label.get(label)
