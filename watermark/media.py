"""Reading untrusted pictures and clips as streams of frames, within limits.

What a file is, is decided by its first bytes and an allow-list, never by its name. Everything that is wrong
with it is a `MediaError` that says what. Memory holds one frame at a time for clips and one picture for
stills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from watermark import clips, stills
from watermark.errors import MediaError
from watermark.limits import DEFAULT_LIMITS, MIN_SIDE, MediaLimits

Frame = NDArray[np.uint8]
_SNIFF_BYTES = 64


class MediaKind(StrEnum):
    IMAGE = "image"
    VIDEO = "video"


@dataclass(frozen=True)
class Media:
    """A readable medium. `fps` and `seconds` are 0 for a still; `frame_count` is what the file declares, or
    0.
    """

    path: Path
    kind: MediaKind
    mime: str
    width: int
    height: int
    fps: float
    seconds: float
    frame_count: int
    _read: Callable[[int, bool], Iterator[Frame]] = field(repr=False)

    def frames(self, stride: int = 1, *, exact: bool = True) -> Iterator[Frame]:
        """Every `stride`-th frame from the first, uint8 [H, W, 3] sRGB, upright, without alpha; may be
        called again. Not `exact`: those of clips a grey level darker on average, in a twentieth of the time
        that exact colours take; enough to find a mark or to know a picture again.

        Raises `MediaError` where the file breaks off or turns out larger than the limits.
        """
        return self._read(stride, exact)


def open_media(path: Path, limits: MediaLimits = DEFAULT_LIMITS) -> Media:
    """Open JPEG, PNG, WebP, AVIF, GIF, MP4, MOV, WebM or Matroska. Animated pictures are clips.

    Raises `MediaError` for a file that is missing, empty, not of these types, broken, or beyond `limits`.
    """
    head = _head(path, limits)
    mime = sniff(head)
    if mime is None:
        raise MediaError(f"{path.name}: not a picture or clip of a supported type")
    if mime.startswith("image/"):
        return _open_still(path, mime, limits)
    return _open_clip(path, mime, limits)


def sniff(head: bytes) -> str | None:
    """MIME type by the first bytes, or None for anything not on the allow-list."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "video/webm" if b"webm" in head else "video/x-matroska"
    if head[4:8] == b"ftyp":
        return _sniff_brand(head[8:12])
    return "video/quicktime" if head[4:8] in (b"moov", b"mdat", b"wide", b"free") else None


def _sniff_brand(brand: bytes) -> str | None:
    if brand in (b"avif", b"avis"):
        return "image/avif"
    if brand in (b"heic", b"heix", b"mif1", b"msf1", b"heim", b"heis", b"hevc", b"M4A "):
        return None
    return "video/quicktime" if brand == b"qt  " else "video/mp4"


def _head(path: Path, limits: MediaLimits) -> bytes:
    try:
        size = path.stat().st_size
        if size > limits.max_bytes:
            raise MediaError(f"{path.name}: {size} bytes, more than the limit of {limits.max_bytes}")
        with path.open("rb") as file:
            head = file.read(_SNIFF_BYTES)
    except OSError as error:
        raise MediaError(f"{path.name}: cannot be read ({error.strerror})") from error
    if not head:
        raise MediaError(f"{path.name}: the file is empty")
    return head


def _open_still(path: Path, mime: str, limits: MediaLimits) -> Media:
    facts = stills.probe(path, limits)
    _check_size(path, facts.width, facts.height, limits)
    if facts.frames == 1:
        return Media(
            path, MediaKind.IMAGE, mime, facts.width, facts.height, 0.0, 0.0, 1, lambda *_: stills.read(path)
        )
    _check_length(path, facts.frames, facts.seconds, limits)
    fps = facts.frames / facts.seconds
    return Media(
        path, MediaKind.VIDEO, mime, facts.width, facts.height, fps, facts.seconds, facts.frames,
        lambda stride, _: stills.read(path, stride),
    )  # fmt: skip


def _open_clip(path: Path, mime: str, limits: MediaLimits) -> Media:
    facts = clips.probe(path)
    _check_size(path, facts.width, facts.height, limits)
    _check_length(path, facts.frames, facts.seconds, limits)
    return Media(
        path, MediaKind.VIDEO, mime, facts.width, facts.height, facts.fps, facts.seconds, facts.frames,
        lambda stride, exact: clips.read(path, limits, stride, exact=exact),
    )  # fmt: skip


def _check_size(path: Path, width: int, height: int, limits: MediaLimits) -> None:
    if min(width, height) < MIN_SIDE:
        raise MediaError(
            f"{path.name}: {width} x {height} pixels; nothing smaller than {MIN_SIDE} can be examined"
        )
    if width * height > limits.max_pixels:
        raise MediaError(
            f"{path.name}: {width} x {height} pixels, more than the limit of {limits.max_pixels}"
        )


def _check_length(path: Path, frames: int, seconds: float, limits: MediaLimits) -> None:
    if seconds > limits.max_seconds:
        raise MediaError(
            f"{path.name}: {seconds:.0f} s long, more than the limit of {limits.max_seconds:.0f} s"
        )
    if frames > limits.max_frames:
        raise MediaError(f"{path.name}: {frames} frames, more than the limit of {limits.max_frames}")
