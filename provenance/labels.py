"""Statements about AI outside C2PA: IPTC digital source type in XMP, and the AIGC label of GB 45438-2025.

Anyone can write or remove them, so they are claims and nothing more.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance.credentials import AI_SOURCE_TYPES
from provenance.errors import ReadError
from provenance.text import clean

SCAN_BYTES: Final = 4 << 20
"""Read from the start and from the end of a file: metadata lies at either, behind at most a thumbnail."""

_PACKET = re.compile(rb"<x:xmpmeta\b.{0,262144}?</x:xmpmeta>", re.DOTALL)
_SOURCE_TYPE = re.compile(
    rb"DigitalSourceType\b[^<>]{0,80}?[\"'>]\s*https?://cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,60})"
)
_AIGC = re.compile(rb"\{\s*\"AIGC\"\s*:\s*(\{[^{}]{0,4096}\})")


@dataclass(frozen=True, slots=True)
class Labels:
    """`source_type`: last part of the IPTC URI, or "". `aigc`: the AIGC label's fields, sorted, clean."""

    source_type: str = ""
    aigc: tuple[tuple[str, str], ...] = ()

    @property
    def claims_ai(self) -> bool:
        """GB 45438 label values: 1 generated, 2 possibly generated, 3 suspected to be."""
        return self.source_type in AI_SOURCE_TYPES or dict(self.aigc).get("Label") == "1"


def read_labels(path: Path) -> Labels:
    """The labels in a file's metadata. Raises `ReadError` only where the file cannot be opened."""
    try:
        with path.open("rb") as file:
            head = file.read(SCAN_BYTES)
            size = file.seek(0, 2)
            file.seek(max(SCAN_BYTES, size - SCAN_BYTES))
            tail = file.read(SCAN_BYTES)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read: {error}") from error
    return Labels(_source_type(head) or _source_type(tail), _aigc(head) or _aigc(tail))


def _source_type(data: bytes) -> str:
    for packet in _PACKET.finditer(data):
        found = _SOURCE_TYPE.search(packet[0])
        if found:
            return clean(found[1].decode("ascii"))
    return ""


def _aigc(data: bytes) -> tuple[tuple[str, str], ...]:
    found = _AIGC.search(data)
    try:
        fields = json.loads(found[1]) if found else {}
    except ValueError:
        return ()
    return tuple(sorted((clean(key), clean(value)) for key, value in fields.items()))
