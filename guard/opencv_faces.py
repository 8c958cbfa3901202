"""YuNet and SFace through OpenCV: a detector and an embedder, from ONNX files that the operator brings.

YuNet: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023. SFace: Zhong et al., "SFace:
Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", 2021. Both are files of OpenCV's model zoo
(face_detection_yunet, face_recognition_sface); their licences are in that repository.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from guard.errors import BackendError
from guard.faces import FaceDetection, Point
from guard.model_file import ModelFile
from guard.templates import Templates, unit_rows

_LONG_SIDE: Final = 1024  # pixels; larger pictures are shrunk, as for MTCNN
_LEAST_SCORE: Final = 0.5
_OVERLAP: Final = 0.3  # of two boxes, from which they are one face; OpenCV's default
_MOST_FACES: Final = 5000  # boxes before that; OpenCV's default
# YuNet's scores are lower than MTCNN's probabilities: OpenCV keeps faces from 0.9 by default, where MTCNN is
# at 0.99. Between, the words of the policy are spread evenly; the two lower ones were not measured.
_SCORES: Final = (0.5, 0.7, 0.9)
_PROBABILITIES: Final = (0.7, 0.9, 0.99)
_NO_CONFIG: Final = np.empty(0, np.uint8)


class YunetFaces:
    """Finds faces with YuNet (2022mar or later, nine or twelve outputs by stride)."""

    def __init__(self, model: ModelFile) -> None:
        """Loads the network. Raises `BackendError` where the file is no such one."""
        self.model_id = model.model_id("opencv/yunet")
        self._lock = threading.Lock()  # the size of the picture is a state of the network
        self._net = _loaded(
            model,
            "YuNet",
            lambda data: cv2.FaceDetectorYN.create(
                "onnx", data, _NO_CONFIG, (320, 320), _LEAST_SCORE, _OVERLAP, _MOST_FACES
            ),
        )
        self._trial(model)

    def detect(self, pixels: NDArray[np.uint8]) -> list[FaceDetection]:
        """Returns the faces in `pixels`, uint8 [H, W, 3] sRGB. Raises `BackendError` where it fails."""
        height, width = pixels.shape[:2]
        scale = min(1.0, _LONG_SIDE / max(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else pixels
        try:
            with self._lock:
                self._net.setInputSize(size)
                _, rows = self._net.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        except cv2.error as error:
            raise BackendError(f"the face detector failed: {error}") from error
        return [] if rows is None else [_face(row / scale, float(row[14])) for row in rows.astype(float)]

    def _trial(self, model: ModelFile) -> None:
        """Runs once: a file with other outputs loads without complaint."""
        try:
            self.detect(np.zeros((64, 64, 3), np.uint8))
        except BackendError as error:
            raise BackendError(f"{model.path} does not answer as YuNet does: {error}") from error


class SfaceEmbedder:
    """Turns aligned faces into templates with SFace."""

    def __init__(self, model: ModelFile) -> None:
        """Loads the network. Raises `BackendError` where the file is no such one."""
        self.model_id = model.model_id("opencv/sface")
        self._lock = threading.Lock()
        self._net = _loaded(
            model, "SFace", lambda data: cv2.FaceRecognizerSF.create("onnx", data, _NO_CONFIG)
        )
        try:
            self.dimensions = int(self._net.feature(np.zeros((112, 112, 3), np.uint8)).size)
        except cv2.error as error:
            raise BackendError(f"{model.path} does not answer as SFace does: {error}") from error

    def embed(self, pixels: NDArray[np.uint8], faces: Sequence[FaceDetection]) -> Templates:
        """Returns float32 [faces, dimensions] of unit length.

        Faces are turned and scaled so that their landmarks lie where SFace was trained to have them. Raises
        `BackendError` where a face has no landmarks or the network fails.
        """
        picture = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        try:
            with self._lock:
                rows = [self._feature(picture, face) for face in faces]
        except cv2.error as error:
            raise BackendError(f"the face embedder failed: {error}") from error
        return unit_rows(rows, self.dimensions)

    def _feature(self, picture: NDArray[np.uint8], face: FaceDetection) -> NDArray[np.float32]:
        aligned = self._net.alignCrop(picture, _row(face))
        return np.array(self._net.feature(aligned), np.float32).ravel()  # a copy: the buffer is used again


def _loaded(model: ModelFile, what: str, create: Callable[[NDArray[np.uint8]], Any]) -> Any:
    try:
        return create(np.frombuffer(model.data, np.uint8))
    except cv2.error as error:
        reason = str(error).strip().splitlines()[0]
        raise BackendError(f"{model.path} is not {what} as ONNX: {reason}") from error


def _face(row: NDArray[np.float64], score: float) -> FaceDetection:
    left, top, width, height = row[:4].tolist()
    points = tuple((x, y) for x, y in row[4:14].reshape(5, 2).tolist())
    probability = float(np.interp(score, _SCORES, _PROBABILITIES))
    return FaceDetection((left, top, left + width, top + height), probability, points)


def _row(face: FaceDetection) -> NDArray[np.float32]:
    """Returns a face as YuNet gives it: box, landmarks, score."""
    if len(face.landmarks) != 5:
        raise BackendError("SFace aligns faces by five landmarks, and this detector gives none")
    left, top, right, bottom = face.box
    points: list[Point] = list(face.landmarks)
    numbers = [left, top, right - left, bottom - top, *(n for point in points for n in point)]
    return np.array([[*numbers, face.probability]], np.float32)
