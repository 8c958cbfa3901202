"""Files as their top-level parts: boxes of MP4 and AVIF, chunks of PNG and WebP, segments of JPEG.

For tampering: parts are dropped, doubled, exchanged and mislabelled as one who knows the format would.
"""

from __future__ import annotations

import zlib

Part = bytes

_BOXED = (".mp4", ".mov", ".avif")


def split(content: bytes, suffix: str) -> list[Part]:
    """The parts of a well-formed file; joined again they are the file."""
    if suffix in _BOXED:
        return _boxes(content)
    if suffix == ".png":
        return _png(content)
    return _riff(content) if suffix == ".webp" else _jpeg(content)


def join(parts: list[Part], suffix: str) -> bytes:
    """The file of these parts, with the length of the whole (WebP) set right."""
    content = b"".join(parts)
    if suffix != ".webp":
        return content
    return content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:]


def holds_manifest(part: Part) -> bool:
    """True for the parts that carry C2PA."""
    return b"jumdc2" in part[:600] or part[:2] == b"\xff\xeb" or part[:4] == b"C2PA" or part[4:8] == b"caBX"


def with_manifest(part: Part, old: bytes, new: bytes) -> Part:
    """`part` with another manifest store of the same length, and a PNG's checksum set right."""
    changed = part.replace(old, new)
    if changed[4:8] == b"caBX":
        return changed[:-4] + zlib.crc32(changed[4:-4]).to_bytes(4, "big")
    return changed


def _boxes(content: bytes) -> list[Part]:
    parts, start = [], 0
    while start + 8 <= len(content):
        length = int.from_bytes(content[start : start + 4], "big")
        length = int.from_bytes(content[start + 8 : start + 16], "big") if length == 1 else length
        end = start + length if length >= 8 else len(content)
        parts.append(content[start:end])
        start = end
    return parts


def _png(content: bytes) -> list[Part]:
    parts, start = [content[:8]], 8
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        parts.append(content[start:end])
        start = end
    return parts


def _riff(content: bytes) -> list[Part]:
    parts, start = [content[:12]], 12
    while start < len(content):
        length = int.from_bytes(content[start + 4 : start + 8], "little")
        end = start + 8 + length + length % 2
        parts.append(content[start:end])
        start = end
    return parts


def _jpeg(content: bytes) -> list[Part]:
    """Segments up to the first scan; the scans and what follows are one part."""
    parts, start = [content[:2]], 2
    while content[start + 1] != 0xDA:
        end = start + 2 + int.from_bytes(content[start + 2 : start + 4], "big")
        parts.append(content[start:end])
        start = end
    return [*parts, content[start:]]
