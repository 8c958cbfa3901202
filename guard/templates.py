"""From a picture to the templates of its faces: detector and embedder behind one interface.

A template lives as long as the call, unless its person is enrolled (`guard.gallery`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from guard.errors import BackendError
from guard.faces import FaceBackend, FaceDetection

MIN_FACE_SIDE = 40  # pixels; a template of a smaller face says little (ISO/IEC 29794-5 asks for more)
MIN_PROBABILITY = 0.9  # of the detector, for a face that counts

Templates = NDArray[np.float32]


class FaceEmbedder(Protocol):
    """Something that turns faces into templates: unit vectors, near for faces of one person."""

    @property
    def model_id(self) -> str:
        """Names the model and its version; templates of another model cannot be compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers of a template."""
        ...

    def embed(self, pixels: NDArray[np.uint8], faces: Sequence[FaceDetection]) -> Templates:
        """Returns float32 [faces, dimensions] of unit length. Raises `BackendError` where it cannot run."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SeenFaces:
    """The faces of one picture: templates, float32 [N, dimensions], and how many are too small for one."""

    templates: Templates
    too_small: int

    @property
    def count(self) -> int:
        """How many faces there are."""
        return len(self.templates) + self.too_small


@dataclass(frozen=True)
class FaceReader:
    """A detector and an embedder; what the one crops, the other embeds, so templates are of both."""

    detector: FaceBackend
    embedder: FaceEmbedder

    @property
    def model_id(self) -> str:
        """Names both; galleries and calibrations belong to one such pair."""
        return f"{self.detector.model_id} + {self.embedder.model_id}"

    def read(self, pixels: NDArray[np.uint8]) -> SeenFaces:
        """Returns the faces in `pixels`, uint8 [H, W, 3] sRGB. Raises `BackendError`."""
        found = [face for face in self.detector.detect(pixels) if face.probability >= MIN_PROBABILITY]
        large = [face for face in found if _side(face) >= MIN_FACE_SIDE]
        if not large:
            return SeenFaces(np.zeros((0, self.embedder.dimensions), np.float32), len(found))
        return SeenFaces(self.embedder.embed(pixels, large), len(found) - len(large))

    def only_face(self, pixels: NDArray[np.uint8]) -> Templates:
        """Returns the template, float32 [dimensions], of the one face in a picture.

        Raises `BackendError` where there is none, more than one, or a smaller one than can be compared.
        """
        seen = self.read(pixels)
        if seen.count != 1:
            raise BackendError(
                f"the picture shows {seen.count} faces; a picture of one person alone is needed"
            )
        if seen.too_small:
            raise BackendError(f"the face is smaller than {MIN_FACE_SIDE} pixels; use a larger picture")
        return np.asarray(seen.templates[0], np.float32)


def _side(face: FaceDetection) -> float:
    left, top, right, bottom = face.box
    return min(right - left, bottom - top)


def unit_rows(rows: Sequence[NDArray[np.floating]], dimensions: int) -> Templates:
    """Returns `rows` as float32 [N, dimensions] of unit length. Raises `BackendError` where one has none."""
    found = np.array(rows, np.float32).reshape(-1, dimensions)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if not np.isfinite(found).all() or not (lengths > 0).all():
        raise BackendError(
            "the face embedder answers with zeros or with what is no number; are its weights whole?"
        )
    return np.asarray(found / lengths, np.float32)


def open_detector(path: Path) -> FaceBackend:
    """Returns YuNet with the weights at `path` (ONNX). Raises `BackendError`."""
    from guard.model_file import ModelFile
    from guard.opencv_faces import YunetFaces

    return YunetFaces(ModelFile.read(path))


def open_embedder(path: Path) -> FaceEmbedder:
    """Returns the embedder whose weights are at `path`: SFace (ONNX), or InceptionResnetV1 (safetensors, or
    the .pt that facenet-pytorch publishes), told apart by content. Raises `BackendError`.
    """
    from guard.facenet import FacenetEmbedder, is_facenet
    from guard.model_file import ModelFile
    from guard.opencv_faces import SfaceEmbedder

    model = ModelFile.read(path)
    return FacenetEmbedder(model) if is_facenet(model.data) else SfaceEmbedder(model)
