"""Finding faces in pictures, behind an interface; the shipped backend is MTCNN (Zhang et al. 2016).

Only whether and where a face is leaves this module. No template of a stranger is computed here. Another
backend is YuNet (`guard.opencv_faces`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from guard.errors import BackendError
from guard.model import Certainty

# Detector probability from which a face counts, by the certainty that a rule asks for. MTCNN's last stage
# calls 0.7 a face already; at 0.9 it keeps small and turned faces and drops most patterns in foliage and
# cloth.
FACE_PROBABILITY: Mapping[Certainty, float] = {
    Certainty.SURE: 0.99,
    Certainty.LIKELY: 0.90,
    Certainty.POSSIBLE: 0.70,
}
_LONG_SIDE = 1024  # pixels; larger pictures are shrunk, a face of 2 % of the width still has 20 pixels
_SMALLEST_FACE = 20  # pixels, the window of MTCNN's first stage


Point = tuple[float, float]  # x and y in pixels


@dataclass(frozen=True, slots=True)
class FaceDetection:
    """One face: `box` is left, top, right, bottom in pixels of the picture given, `probability` in [0, 1].

    `landmarks` are five points: the eye that is left in the picture, the right one, the nose, the left and
    the right corner of the mouth; () where a detector gives none.
    """

    box: tuple[float, float, float, float]
    probability: float
    landmarks: tuple[Point, ...] = ()


class FaceBackend(Protocol):
    """Something that finds faces."""

    @property
    def model_id(self) -> str:
        """Names the model and its version, for decisions."""
        ...

    def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
        """Returns the faces in `pixels`, uint8 [H, W, 3] sRGB. Raises `BackendError` where it cannot run."""
        ...


class MtcnnFaces:
    """MTCNN as facenet-pytorch ships it, its weights inside the package; loaded at first use, on the CPU."""

    model_id = "facenet-pytorch/mtcnn@2.6.0"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._net: Any = None

    def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
        """Returns the faces that MTCNN finds. Raises `BackendError` where it is not installed or fails."""
        height, width = pixels.shape[:2]
        scale = min(1.0, _LONG_SIDE / max(height, width))
        image = Image.fromarray(pixels)
        if scale < 1.0:
            image = image.resize((max(1, round(width * scale)), max(1, round(height * scale))))
        if min(image.size) < _SMALLEST_FACE:
            return []
        return [
            FaceDetection(
                (box[0] / scale, box[1] / scale, box[2] / scale, box[3] / scale),
                probability,
                tuple((x / scale, y / scale) for x, y in points),
            )
            for box, probability, points in self._run(image)
        ]

    def _run(self, image: Image.Image) -> list[tuple[list[float], float, list[list[float]]]]:
        import torch

        try:
            with self._lock, torch.inference_mode():
                self._net = self._net or self._load()
                boxes, probabilities, points = self._net.detect(image, landmarks=True)
        except BackendError:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise BackendError(f"the face detector failed: {error}") from error
        if boxes is None:
            return []
        # The wrapper answers with arrays of dtype object under numpy 2.
        columns = (np.asarray(found, dtype=float).tolist() for found in (boxes, probabilities, points))
        return list(zip(*columns, strict=True))

    def _load(self) -> Any:
        try:
            from facenet_pytorch import MTCNN
        except ImportError as error:
            raise BackendError(
                "facenet-pytorch is not installed; pip install --no-deps facenet-pytorch"
            ) from error
        return MTCNN(keep_all=True, device="cpu", min_face_size=_SMALLEST_FACE, thresholds=[0.6, 0.7, 0.7])
