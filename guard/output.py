"""Which frames of a result the output rules look at: evenly spaced ones, and one of every scene."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_SCENES = 16  # scenes that get a frame of their own; the largest cuts count
_CUT = 24.0  # mean difference of thumbnails, of 255; pans of a few percent of the width stay below 15
_CUT_OVER_USUAL = 4.0  # times the median difference, so that fast motion is not taken for cuts
_THUMBNAIL = 16  # pixels


def frames_to_check(frames: NDArray[np.uint8], evenly: int) -> list[int]:
    """Returns the numbers of the frames of `frames`, uint8 [F, H, W, 3], that rules look at, in order.

    They are `evenly` spaced ones from the first to the last, and the middle one of each scene, so that a
    scene between two of the spaced ones is seen as well. [] where there are no frames.
    """
    if not len(frames):
        return []
    spaced = np.linspace(0, len(frames) - 1, max(evenly, 1)).round().astype(int).tolist()
    borders = [0, *scene_cuts(frames), len(frames)]
    middles = [(begin + end - 1) // 2 for begin, end in pairwise(borders)]
    return sorted({*spaced, *middles})


def scene_cuts(frames: NDArray[np.uint8]) -> list[int]:
    """Returns the numbers of the frames with which a new scene begins, at most `MAX_SCENES` - 1, in order."""
    if len(frames) < 2:
        return []
    small = np.stack([_thumbnail(frame) for frame in frames])
    change = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2, 3))
    least = max(_CUT, _CUT_OVER_USUAL * float(np.median(change)) if len(change) > 2 else 0.0)
    found = np.flatnonzero(change >= least)
    largest = found[np.argsort(change[found])[::-1][: MAX_SCENES - 1]]
    return sorted(int(number) + 1 for number in largest)


def longest_run(seen: list[int]) -> int:
    """Returns how many of the numbers, in ascending order, follow on each other at most."""
    best = run = 0
    before = -2
    for number in seen:
        run = run + 1 if number == before + 1 else 1
        best, before = max(best, run), number
    return best


def _thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    size = (_THUMBNAIL, _THUMBNAIL)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.float32)
