"""Statements about AI outside C2PA: IPTC digital source type in XMP, and the AIGC label of GB 45438-2025.

Anyone can write or remove them, so they are claims and nothing more.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.sax.saxutils import unescape

from provenance.credentials import AI_SOURCE_TYPES
from provenance.errors import ReadError
from provenance.text import clean

SCAN_BYTES: Final = 4 << 20
"""Read from the start and from the end of a file: metadata lies at either, behind at most a thumbnail."""
MAX_FIELDS: Final = 32
"""Of an AIGC label; the standard has seven."""

_PACKET = re.compile(rb"<x:xmpmeta\b.{0,262144}?</x:xmpmeta>", re.DOTALL)
_SOURCE_TYPE = re.compile(
    rb"DigitalSourceType\b[^<>]{0,80}?[\"'>]\s*https?://cv\.iptc\.org/newscodes/digitalsourcetype/([A-Za-z]{1,60})"
)
_AIGC = (
    re.compile(rb"<TC260:AIGC>\s*([^<]{2,8192}?)\s*</TC260:AIGC>"),
    re.compile(rb"TC260:AIGC=\"([^<\"]{2,8192})\""),
    re.compile(rb"\{\s*\"AIGC\"\s*:\s*(\{[^{}]{0,4096}\})"),
    re.compile(rb"(\{\s*\"Label\"\s*:\s*\"[123]\"[^{}]{0,4096}\"ContentProducer\"[^{}]{0,4096}\})"),
)
"""In XMP as an element or an attribute, wrapped (Exif, older files), bare (MP4 metadata, ID3, RIFF)."""


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
            file.seek(max(len(head), size - SCAN_BYTES))
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
    for form in _AIGC:
        found = form.search(data)
        fields = _fields(found[1]) if found else {}
        if fields:
            return tuple(sorted((clean(key), clean(value)) for key, value in fields.items()))
    return ()


def _fields(text: bytes) -> dict[str, object]:
    try:
        fields = json.loads(unescape(text.decode("utf-8", "replace"), {"&quot;": '"'}))
    except (ValueError, RecursionError):
        return {}
    inner = fields.get("AIGC", fields) if isinstance(fields, dict) else {}
    return dict(list(inner.items())[:MAX_FIELDS]) if isinstance(inner, dict) else {}
