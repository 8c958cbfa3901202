"""Conditioning inputs: decoded once, so that the model gets exactly the pictures that the guard has seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generator.digests import file_digest
from generator.errors import RequestError
from generator.request import MediaKind, Reference, Request
from generator.sound import mime_of
from watermark import MediaLimits, Sound, open_media, read_sound


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceFrames:
    """The pictures of one reference: uint8 [H, W, 3], sRGB, upright; one for an image, at least one for a
    clip; none for a sound, which is in `sound`.

    `sha256` (hexadecimal) is of the file, to which consents are bound.
    """

    reference: Reference
    mime: str
    sha256: str
    frames: tuple[NDArray[np.uint8], ...]
    sound: Sound | None = None


ReadReference = Callable[[Reference, int], ReferenceFrames]
"""`read(reference, most)`: at most so many frames, from the start. A service passes one that reads in a
limited process."""


def reader(limits: MediaLimits) -> ReadReference:
    """Read in this process. `MediaError` when the file is not media within `limits`."""

    def read(reference: Reference, most: int) -> ReferenceFrames:
        if reference.kind is MediaKind.AUDIO:
            sound = read_sound(reference.path, limits)
            return ReferenceFrames(reference, mime_of(reference.path), _digest(reference.path), (), sound)
        media = open_media(reference.path, limits)
        if MediaKind(media.kind) is not reference.kind:
            raise RequestError(f"references: {reference.title} is {media.kind}, not {reference.kind}")
        frames = tuple(islice(media.frames(), most))
        if not frames:
            raise RequestError(f"references: {reference.title} holds no picture")
        return ReferenceFrames(reference, media.mime, _digest(reference.path), frames)

    return read


def read_references(request: Request, read: ReadReference) -> tuple[ReferenceFrames, ...]:
    """The pictures and sounds of every reference of a completed request."""
    most = request.frames or 1
    return tuple(
        read(reference, 1 if reference.kind is MediaKind.IMAGE else most) for reference in request.references
    )


def _digest(path: Path) -> str:
    return file_digest(path).removeprefix("sha256:")


def fitted(frame: NDArray[np.uint8], width: int, height: int) -> Image.Image:
    """`frame` cut at the centre to the asked shape and resized (Lanczos): systems stretch what does not
    fit."""
    have_h, have_w = frame.shape[:2]
    scale = max(width / have_w, height / have_h)
    cut_w, cut_h = width / scale, height / scale
    left, top = (have_w - cut_w) / 2, (have_h - cut_h) / 2
    return Image.fromarray(frame).resize(
        (width, height), Image.Resampling.LANCZOS, box=(left, top, left + cut_w, top + cut_h)
    )
