"""What a file is, by its first bytes: the allow-list in front of every parser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Final

HEAD_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file that is let in: its name, MIME type and whether C2PA manifests are read from it."""

    name: str
    mime: str
    carries_c2pa: bool = True


_JPEG = FileKind("JPEG", "image/jpeg")
_PNG = FileKind("PNG", "image/png")
_GIF = FileKind("GIF", "image/gif")
_TIFF = FileKind("TIFF", "image/tiff")
_MP3 = FileKind("MP3", "audio/mpeg")
_FLAC = FileKind("FLAC", "audio/flac")
_WEBM = FileKind("WebM", "video/webm", carries_c2pa=False)
_OGG = FileKind("Ogg", "application/ogg", carries_c2pa=False)

_PREFIXES: Final[tuple[tuple[bytes, FileKind], ...]] = (
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"II*\x00", _TIFF),
    (b"MM\x00*", _TIFF),
    (b"ID3", _MP3),
    (b"\xff\xfb", _MP3),
    (b"\xff\xf3", _MP3),
    (b"\xff\xf2", _MP3),
    (b"fLaC", _FLAC),
    (b"\x1aE\xdf\xa3", _WEBM),
    (b"OggS", _OGG),
)
_RIFF: Final = {
    b"WEBP": FileKind("WebP", "image/webp"),
    b"WAVE": FileKind("WAV", "audio/wav"),
    b"AVI ": FileKind("AVI", "video/x-msvideo"),
}
_BRANDS: Final = {
    b"avif": FileKind("AVIF", "image/avif"),
    b"avis": FileKind("AVIF", "image/avif"),
    b"heic": FileKind("HEIC", "image/heic"),
    b"heix": FileKind("HEIC", "image/heic"),
    b"mif1": FileKind("HEIF", "image/heif"),
    b"M4A ": FileKind("M4A", "audio/mp4"),
    b"qt  ": FileKind("QuickTime", "video/quicktime"),
}
_MP4 = FileKind("MP4", "video/mp4")
_QUICKTIME = _BRANDS[b"qt  "]


def sniff(file: BinaryIO) -> FileKind | None:
    """The kind of an open file, or None where it is on no list. Reads `HEAD_BYTES` and goes back to the
    start."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    return sniff_bytes(head)


def sniff_bytes(head: bytes) -> FileKind | None:
    """As `sniff`, from the first bytes of a file."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], _MP4)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _QUICKTIME  # films from before the file type box
    return next((kind for prefix, kind in _PREFIXES if head.startswith(prefix)), None)
