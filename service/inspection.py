"""Reads untrusted files: each in a limited process of its own, every answer checked on arrival."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance import Evidence
from service import keys, untrusted
from service.codec import decode
from service.errors import IsolationError
from service.isolate import Isolator, RefusedError
from service.sandbox import ProcessLimits
from service.settings import Settings
from service.untrusted import HEADER, InspectionContext, Marks, Parts
from watermark import MediaLimits

MIME = re.compile(r"(image|video)/[a-z0-9.+-]{1,40}")


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """The frames of a file, uint8 [H, W, 3] sRGB, at most 4 megapixels each, and its MIME type."""

    mime: str
    frames: tuple[NDArray[np.uint8], ...]


class Inspector:
    """Every method raises `RefusedError` for a file that is not acceptable, and `IsolationError` when
    the process gave no answer.
    """

    def __init__(self, isolator: Isolator, context: InspectionContext) -> None:
        self._isolator = isolator
        self._context = context

    def warm(self) -> None:
        """Do the imports before the first file."""
        self._isolator.warm()

    def inspect(self, path: Path, *, thorough: bool = False) -> Evidence:
        """Everything that a file says about itself: manifest, mark, small views. `thorough` also looks for
        marked parts where the whole shows no mark: several times the work."""
        return decode(Evidence, self.encoded(path, thorough=thorough))

    def encoded(self, path: Path, *, thorough: bool = False) -> bytes:
        """As `inspect`, before it is checked: `decode(Evidence, ...)` does that."""
        return self._isolator.run(untrusted.inspect, path, self._context, thorough)

    def detect(self, path: Path) -> Marks:
        """The marks of picture and sound alone."""
        return decode(Marks, self._isolator.run(untrusted.detect, path, self._context))

    def locate(self, path: Path) -> Parts:
        """Which seconds and which region carry which id; costs several times what `detect` does."""
        return decode(Parts, self._isolator.run(untrusted.located, path, self._context))

    def pictures(self, path: Path, kind: str, most: int) -> Pictures:
        """Up to `most` frames of an "image" or "video"."""
        return _unpack(self._isolator.run(untrusted.pictures, path, kind, most, self._context.limits))

    def last_picture(self, path: Path) -> NDArray[np.uint8]:
        """The last frame of a video: uint8 [H, W, 3]. Raises `RefusedError` when there is none."""
        found = _unpack(self._isolator.run(untrusted.last_picture, path, self._context.limits)).frames
        if not found:
            raise RefusedError("unreadable_media", "The video holds no picture.")
        return found[0]


def media_limits(settings: Settings) -> MediaLimits:
    """What an upload may hold."""
    return MediaLimits(
        max_bytes=settings.upload_max_bytes,
        max_pixels=settings.media_max_pixels,
        max_frames=settings.media_max_frames,
        max_seconds=settings.media_max_seconds,
    )


def build_inspector(settings: Settings) -> Inspector:
    """Reads untrusted files in limited processes. Raises `ConfigurationError` when the keys are missing."""
    isolator = Isolator(
        ProcessLimits(seconds=settings.inspect_seconds, memory=settings.inspect_memory_bytes),
        parallel=settings.inspect_parallel,
    )
    context = InspectionContext(
        rings=keys.rings(settings), trust=keys.trust(settings), limits=media_limits(settings)
    )
    return Inspector(isolator, context)


def _unpack(answer: bytes) -> Pictures:
    """Inverse of what `untrusted.pictures` packs. Raises `IsolationError` for anything else."""
    try:
        (length,) = HEADER.unpack_from(answer)
        head = json.loads(answer[HEADER.size : HEADER.size + length])
        offset, frames = HEADER.size + length, []
        for height, width in ((shape[0], shape[1]) for shape in head["shapes"]):
            flat = np.frombuffer(answer, np.uint8, count=3 * height * width, offset=offset)
            frames.append(flat.reshape(height, width, 3).copy())
            offset += flat.size
        mime = MIME.fullmatch(head["mime"])
        if mime is None:
            raise ValueError("not a MIME type")
        return Pictures(mime[0], tuple(frames))
    except (ValueError, TypeError, LookupError, struct.error) as error:
        raise IsolationError("failed", "The limited process gave no pictures.") from error
