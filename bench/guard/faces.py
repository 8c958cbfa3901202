"""Faces found, and faces seen where there are none, in the pictures that scikit-image ships.

The photographs are in the public domain or CC0; the small set is scikit-image's subset of Labeled Faces in
the Wild: 100 faces and 100 pieces of backgrounds, 25 x 25 grey pixels each, enlarged, in a grey picture.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from bench.guard.data import Share
from guard.faces import FACE_PROBABILITY, MtcnnFaces

WITHOUT_FACES = (
    "brick", "cell", "chelsea", "clock", "coffee", "coins", "grass", "gravel", "horse", "hubble_deep_field",
    "immunohistochemistry", "logo", "microaneurysms", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip
_ENLARGED, _SIDE = 160, 256  # pixels


@dataclass(frozen=True)
class Row:
    """How many pictures of a set show a face to the detector, at one certainty."""

    pictures: str
    certainty: str
    share: Share


def measure(progress: Callable[[str], None]) -> Iterator[Row]:
    """Yields recall on faces and false positives elsewhere."""
    progress("small faces")
    detector = MtcnnFaces()
    small = np.asarray(data.lfw_subset())
    sets = {
        "100 small faces: recall": [_enlarged(face) for face in small[:100]],
        "100 background pieces: false positives": [_enlarged(piece) for piece in small[100:]],
        "photographs without faces: false positives": [_pixels(name) for name in WITHOUT_FACES],
        "photograph with a face: recall": [_pixels("astronaut")],
    }
    for name, pictures in sets.items():
        progress(name)
        found = [max((f.probability for f in detector.detect(p)), default=0.0) for p in pictures]
        for certainty, least in FACE_PROBABILITY.items():
            count = sum(value >= least for value in found)
            yield Row(name, certainty.value, Share(count, len(pictures)))


def _enlarged(piece: NDArray[np.floating]) -> NDArray[np.uint8]:
    large = cv2.resize(
        np.asarray(piece * 255, np.uint8), (_ENLARGED, _ENLARGED), interpolation=cv2.INTER_CUBIC
    )
    canvas = np.full((_SIDE, _SIDE), 128, np.uint8)
    start = (_SIDE - _ENLARGED) // 2
    canvas[start : start + _ENLARGED, start : start + _ENLARGED] = large
    return np.ascontiguousarray(np.stack([canvas] * 3, 2))


def _pixels(name: str) -> NDArray[np.uint8]:
    pixels = np.asarray(getattr(data, name)())
    pixels = np.asarray(pixels * 255 if pixels.dtype != np.uint8 else pixels, np.uint8)
    grey = pixels if pixels.ndim == 2 else pixels[..., :3]
    return np.ascontiguousarray(np.stack([grey] * 3, 2) if grey.ndim == 2 else grey)
