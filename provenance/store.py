"""Manifest stores as JUMBF boxes: taking one manifest out of several."""

from __future__ import annotations

from provenance.chain import boxes_of, label_of


def active_manifest(store: bytes, label: str) -> bytes:
    """A manifest store with the manifest `label` alone; the store as it is where it cannot be taken apart.

    A manifest with ingredients refers to the others: what comes out validates only where it has none.
    """
    outer = boxes_of(store)
    if not outer or outer[0][0] != b"jumb":
        return store
    inner = boxes_of(outer[0][1])
    kept = [
        (kind, content)
        for kind, content in inner
        if kind == b"jumd" or (kind == b"jumb" and label_of(boxes_of(content)[0][1]) == label)
    ]
    if len(kept) < 2:
        return store
    return _box(b"jumb", b"".join(_box(kind, content) for kind, content in kept))


def _box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content
