"""Looking at one file from a stranger. Everything that parses untrusted bytes is called from here.

Meant for a process with limited memory, time and no network: the parsers below are other people's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from provenance.credentials import C2paReport, C2paState
from provenance.errors import ReadError
from provenance.evidence import Evidence
from provenance.fingerprint import MAX_VIEWS, VIEW_LINES, Sampler
from provenance.labels import read_labels
from provenance.read import read_manifest
from provenance.sniff import sniff
from provenance.trust import TrustAnchors
from watermark import (
    AudioDetection,
    AudioDetector,
    Band,
    Detection,
    DetectionError,
    Located,
    Maps,
    MediaError,
    MediaLimits,
    Timeline,
    has_sound,
    open_media,
    read_both,
    read_sound,
)


class Locate(Protocol):
    """What is asked of `watermark.locate_in`, its detector given."""

    def __call__(self, timeline: Timeline, *, whole: Detection | None) -> tuple[Located, ...]: ...


class MarkDetector(Protocol):
    """What is asked of `watermark.Detector`."""

    def detect(self, frames: Iterable[NDArray[np.uint8]]) -> Detection: ...

    def detect_in(self, maps: Maps) -> Detection: ...


def inspect_media(
    path: Path,
    *,
    detector: MarkDetector,
    trust: TrustAnchors,
    limits: MediaLimits,
    listener: AudioDetector | None = None,
    locate: Locate | None = None,
    thorough: bool = False,
) -> Evidence:
    """Read marks, credentials, labels and small views of a file; its sound with a `listener`; with `locate`,
    which parts carry marks: where the whole shows one or traces of one, and always when `thorough`.

    Raises `ReadError` for a file that is empty, too large or of no known kind, and `watermark.MediaError` for
    a picture or clip that cannot be decoded, unless it carries credentials or sound: those are evidence by
    themselves.
    """
    mime, size, sha256 = _admit(path, limits)
    c2pa = read_manifest(path, trust)
    labels = read_labels(path)
    sound = None if listener is None else _listen(path, mime, listener, limits)
    try:
        media = open_media(path, limits)
        sampler = Sampler(fps=media.fps, lines=VIEW_LINES, limit=MAX_VIEWS)
        seen = sampler.watch(media.frames(exact=False))
        detection, parts = _look(seen, media.fps, detector, locate, thorough=thorough)
    except MediaError as error:
        if sound is None and not _carries_credentials(c2pa):
            raise
        seconds = 0.0 if sound is None else sound.seconds
        return Evidence(size, mime, 0, 0, seconds, None, None, c2pa, labels, str(error), sha256, sound)
    return Evidence(
        size,
        mime,
        media.width,
        media.height,
        media.seconds,
        detection,
        sampler.views(),
        c2pa,
        labels,
        "",
        sha256,
        sound,
        parts,
    )


def _admit(path: Path, limits: MediaLimits) -> tuple[str, int, str]:
    try:
        size = path.stat().st_size
        if size == 0:
            raise ReadError(f"{path.name}: the file is empty")
        if size > limits.max_bytes:
            raise ReadError(f"{path.name}: {size} bytes, more than the limit of {limits.max_bytes}")
        with path.open("rb") as file:
            kind = sniff(file)
            sha256 = "" if kind is None else hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"{path.name}: cannot be read: {error.strerror}") from error
    if kind is None:
        raise ReadError(f"{path.name}: not a picture, clip or sound of a supported type")
    return kind.mime, size, sha256


def _look(
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    detector: MarkDetector,
    locate: Locate | None,
    *,
    thorough: bool,
) -> tuple[Detection, tuple[Located, ...] | None]:
    """The mark of the whole and those of its parts, from one pass over the frames: decoding costs most."""
    if locate is None:
        return detector.detect(frames), None
    maps, timeline = read_both(frames, fps)
    detection = detector.detect_in(maps)
    asked = thorough or detection.band is not Band.NONE
    return detection, locate(timeline, whole=detection) if asked else None


def _listen(path: Path, mime: str, listener: AudioDetector, limits: MediaLimits) -> AudioDetection | None:
    """What is heard, or None where there is no sound that could be read."""
    try:
        if mime.startswith("image/") or not has_sound(path):
            return None
        sound = read_sound(path, limits, rate=listener.rate)
        return listener.detect(sound.samples, sound.rate)
    except (MediaError, DetectionError):
        return None


def _carries_credentials(report: C2paReport) -> bool:
    return report.state in (C2paState.INVALID, C2paState.VALID, C2paState.TRUSTED)
