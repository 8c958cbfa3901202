"""Reads untrusted files: each in a limited process of its own, every answer checked on arrival."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provenance import Evidence
from service import untrusted
from service.codec import decode
from service.errors import IsolationError
from service.isolate import Isolator
from service.untrusted import HEADER, InspectionContext
from watermark import Detection

Frame = NDArray[np.uint8]


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

    def inspect(self, path: Path) -> Evidence:
        """Everything that a file says about itself: manifest, mark, small views."""
        return decode(Evidence, self._isolator.run(untrusted.inspect, path, self._context))

    def detect(self, path: Path) -> Detection:
        """The mark alone."""
        return decode(Detection, self._isolator.run(untrusted.detect, path, self._context))

    def pictures(self, path: Path, kind: str, most: int) -> tuple[Frame, ...]:
        """Up to `most` frames of an "image" or "video", uint8 [H, W, 3], at most 4 megapixels each."""
        return _unpack(self._isolator.run(untrusted.pictures, path, kind, most, self._context.limits))


def _unpack(answer: bytes) -> tuple[Frame, ...]:
    """Inverse of what `untrusted.pictures` packs. Raises `IsolationError` for anything else."""
    try:
        (length,) = HEADER.unpack_from(answer)
        shapes = json.loads(answer[HEADER.size : HEADER.size + length])
        offset, frames = HEADER.size + length, []
        for height, width, channels in shapes:
            size = height * width * channels
            flat = np.frombuffer(answer, np.uint8, count=size, offset=offset)
            frames.append(flat.reshape(height, width, channels).copy())
            offset += size
    except (ValueError, TypeError, struct.error) as error:
        raise IsolationError("failed", "The limited process gave no pictures.") from error
    return tuple(frames)
