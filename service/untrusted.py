"""What the limited process does with a stranger's file (`isolate`). Imports no more than that takes.

Answers leave as JSON (`codec`) or as raw pixels of a declared size.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from provenance import ProvenanceError, TrustAnchors, inspect_media
from provenance.sniff import FileKind, sniff
from service.codec import encode
from service.isolate import RefusedError
from watermark import (
    AudioDetection,
    AudioDetector,
    Detection,
    DetectionError,
    Detector,
    KeyRing,
    Located,
    MediaError,
    MediaLimits,
    has_sound,
    locate,
    locate_in,
    open_media,
    read_sound,
)
from watermark.localise import MAX_EXAMINED

REFERENCE_PIXELS = 4_000_000
"""A reference picture is shrunk to this before it leaves the limited process: no model takes more."""
HEADER = struct.Struct(">I")
EXAMINATIONS = 6
"""Looks for further marks in a file that shows one: the whole, what is left of it, halves of its time."""


@dataclass(frozen=True, slots=True)
class InspectionContext:
    """What the limited process is given: keys to detect with, whom to trust, what a file may hold."""

    rings: tuple[KeyRing, ...]
    trust: TrustAnchors
    limits: MediaLimits


@dataclass(frozen=True, slots=True)
class Marks:
    """What was found in the picture and in the sound of a file; None where it holds none, never both."""

    picture: Detection | None
    sound: AudioDetection | None


@dataclass(frozen=True, slots=True)
class Parts:
    """Which seconds and which region of the picture carry which id, strongest first."""

    located: tuple[Located, ...]


def inspect(path: Path, context: InspectionContext, thorough: bool = False) -> bytes:
    """Everything that a file says about itself, as encoded `Evidence`."""
    _require_media(path)
    detector = Detector(context.rings)
    examinations = MAX_EXAMINED if thorough else EXAMINATIONS
    try:
        evidence = inspect_media(
            path,
            detector=detector,
            trust=context.trust,
            limits=context.limits,
            listener=AudioDetector(context.rings),
            locate=partial(locate_in, detector=detector, examinations=examinations),
            thorough=thorough,
        )
    except (MediaError, ProvenanceError, DetectionError) as error:
        raise RefusedError("unreadable_media", str(error)) from error
    return encode(evidence)


def detect(path: Path, context: InspectionContext) -> bytes:
    """The marks alone, as encoded `Marks`."""
    mime = _require_media(path).mime
    try:
        if mime.startswith("audio/"):
            return encode(Marks(None, _heard(path, context)))
        picture = Detector(context.rings).detect(open_media(path, context.limits).frames(exact=False))
        return encode(Marks(picture, None if mime.startswith("image/") else _heard_beside(path, context)))
    except (MediaError, DetectionError) as error:
        raise RefusedError("unreadable_media", str(error)) from error


def located(path: Path, context: InspectionContext) -> bytes:
    """The parts of the picture that carry marks, as encoded `Parts`; a sound file has none."""
    if _require_media(path).mime.startswith("audio/"):
        return encode(Parts(()))
    try:
        media = open_media(path, context.limits)
        return encode(Parts(locate(media.frames(exact=False), context.rings, fps=media.fps)))
    except (MediaError, DetectionError) as error:
        raise RefusedError("unreadable_media", str(error)) from error


def _heard(path: Path, context: InspectionContext) -> AudioDetection:
    listener = AudioDetector(context.rings)
    sound = read_sound(path, context.limits, rate=listener.rate)
    return listener.detect(sound.samples, sound.rate)


def _heard_beside(path: Path, context: InspectionContext) -> AudioDetection | None:
    """The sound of a clip; one that cannot be read does not keep the picture from being examined."""
    try:
        return _heard(path, context) if has_sound(path) else None
    except (MediaError, DetectionError):
        return None


def pictures(path: Path, kind: str, most: int, limits: MediaLimits) -> bytes:
    """Up to `most` frames of an image or video, packed."""
    _require_media(path)
    try:
        media = open_media(path, limits)
        if media.kind != kind:
            raise RefusedError("wrong_kind", f"The reference is a {media.kind}; this field takes a {kind}.")
        frames = list(islice(media.frames(), most))
    except MediaError as error:
        raise RefusedError("unreadable_media", str(error)) from error
    return _pack(media.mime, [_shrunk(frame) for frame in frames])


def last_picture(path: Path, limits: MediaLimits) -> bytes:
    """The last frame of a video, packed."""
    _require_media(path)
    try:
        media = open_media(path, limits)
        if media.kind != "video":
            raise RefusedError("wrong_kind", f"The file is a {media.kind}; this field takes a video.")
        last = deque(media.frames(), maxlen=1)
    except MediaError as error:
        raise RefusedError("unreadable_media", str(error)) from error
    return _pack(media.mime, [_shrunk(frame) for frame in last])


def _require_media(path: Path) -> FileKind:
    """Tell apart, by the first bytes, what is nothing, what is something else, and what is broken."""
    with path.open("rb") as file:
        kind = sniff(file)
        empty = not file.read(1)
    if empty:
        raise RefusedError("empty_file", "The file is empty.")
    if kind is None:
        raise RefusedError("not_media", "The file is no picture, clip or sound of a supported type.")
    return kind


def _shrunk(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    scale = (REFERENCE_PIXELS / (height * width)) ** 0.5
    if scale >= 1:
        return frame
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _pack(mime: str, frames: Sequence[NDArray[np.uint8]]) -> bytes:
    head = json.dumps({"mime": mime, "shapes": [frame.shape for frame in frames]}).encode()
    return HEADER.pack(len(head)) + head + b"".join(frame.tobytes() for frame in frames)
