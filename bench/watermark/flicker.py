"""Does the mark flicker? What it changes from frame to frame where the picture stands still, beside what an
encoder changes there at a quality that nobody objects to.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.watermark.attacks import Frames, Reencode
from bench.watermark.errors import BenchError
from bench.watermark.media import Medium
from bench.watermark.systems import Trial, load_system

STILL_CHANGE = 1.0
"""Grey levels of smoothed luma by which a place may change between frames and still stand still."""
WINDOW = 5
LIMIT = Reencode("h264", 18)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
Plane = NDArray[np.float32]


@dataclass(frozen=True)
class FlickerRow:
    """Grey levels rms of luma from frame to frame, in the share `still` of the clip that does not move."""

    medium: str
    still: float
    marked: float
    encoded: float

    @property
    def kept(self) -> bool:
        """Whether the mark flickers less than the encoder."""
        return self.marked < self.encoded


def flicker(reference: Frames, other: Frames) -> tuple[float, float]:
    """(rms change of `other - reference` from frame to frame where `reference` stands still, share of such
    places), both [F, H, W, 3]; (0, 0) where nothing stands still. Raises `BenchError` for fewer than two
    frames.
    """
    if len(reference) < 2 or reference.shape != other.shape:
        raise BenchError("flicker wants two clips of one shape and at least two frames")
    total, places = 0.0, 0
    before = _lumas(reference[0], other[0])
    for source, copy in zip(reference[1:], other[1:], strict=True):
        now = _lumas(source, copy)
        still = np.abs(cv2.blur(now[0] - before[0], (WINDOW, WINDOW))) <= STILL_CHANGE
        change = (now[1] - now[0]) - (before[1] - before[0])
        total += float(np.square(change[still], dtype=np.float64).sum())
        places += int(still.sum())
        before = now
    return (total / places) ** 0.5 if places else 0.0, places / (len(reference) - 1) / before[0].size


def _lumas(source: Frames, copy: Frames) -> tuple[Plane, Plane]:
    return source.astype(np.float32) @ LUMA, copy.astype(np.float32) @ LUMA


def measure(media: Iterable[Medium]) -> Iterator[FlickerRow]:
    """One row for each clip: the mark against H.264 at CRF 18 of the unmarked clip."""
    for medium in media:
        source = medium.load()
        marked, still = flicker(source, load_system("assay").embed(source, Trial(0, 0)))
        encoded, _ = flicker(source, LIMIT.apply(source))
        yield FlickerRow(medium.name, round(still, 3), round(marked, 3), round(encoded, 3))
