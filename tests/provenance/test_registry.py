from __future__ import annotations

import hashlib

import pytest

from provenance import InMemoryRegistry, Record, RegistryError
from tests.provenance.makers import utc
from watermark import MediaId


def _record(media_id: int, label: str | None) -> Record:
    manifest = None if label is None else label.encode()
    return Record(
        media_id=MediaId(media_id),
        key_id="0.0",
        manifest_label=label,
        manifest=manifest,
        fingerprint=None,
        created_at=utc(1),
        tenant="t",
    )


def test_both_ways_lead_to_the_record() -> None:
    record = _record(1, "urn:c2pa:a")
    registry = InMemoryRegistry([record, _record(2, None), _record(3, None)])
    assert registry.by_media_id(MediaId(1)) is record
    assert registry.by_manifest_label("urn:c2pa:a") is record
    assert registry.by_media_id(MediaId(9)) is None
    assert registry.by_manifest_label("") is None


def test_nothing_is_used_twice() -> None:
    registry = InMemoryRegistry([_record(1, "urn:c2pa:a")])
    with pytest.raises(RegistryError, match="draw a new one"):
        registry.add(_record(1, "urn:c2pa:b"))
    with pytest.raises(RegistryError, match="registered already"):
        registry.add(_record(2, "urn:c2pa:a"))
    assert registry.by_media_id(MediaId(2)) is None


def test_digest_of_the_manifest() -> None:
    assert _record(1, "x").manifest_sha256 == hashlib.sha256(b"x").hexdigest()
    assert _record(1, None).manifest_sha256 is None
