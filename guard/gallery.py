"""Protected people: face templates under lock, and the question whether a picture shows one of them.

Templates are turned by a secret rotation before they are stored or compared (cosines stay the same; another
key makes other templates, which ISO/IEC 24745 calls renewable), and the file is sealed with AES-256-GCM. The
gallery holds pseudonyms, never names. What is computed of a stranger's face lives as long as the call.
Answers are pseudonyms of matched people, without scores: yes and no, asked often enough, describe a face.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from guard.calibration import Calibration
from guard.errors import BackendError
from guard.faces import FaceBackend, FaceDetection

MAGIC = b"assay gallery 1\n"
MAX_GALLERY_BYTES = 1 << 30  # 100,000 people with 512 numbers take 200 MB
_NONCE_BYTES = 12
_KEY_BYTES = 32
MIN_FACE_SIDE = 40  # pixels; a template of a smaller face says little (ISO/IEC 29794-5 asks for more)
MIN_PROBABILITY = 0.9  # of the detector, for a face that is compared

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


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One template: `subject` is a pseudonym, `basis` why it may be kept, `template` float32 [dimensions]."""

    subject: str
    basis: str
    template: Templates


class Gallery:
    """Enrolled templates of one model, rotated, ready to be searched. Immutable."""

    def __init__(
        self, model_id: str, subjects: Sequence[str], rotated: Templates, rotation: Templates
    ) -> None:
        self.model_id = model_id
        self._subjects = tuple(subjects)
        self._rotated = np.ascontiguousarray(rotated, np.float32)
        self._rotation = rotation

    def __len__(self) -> int:
        return len(self._subjects)

    @property
    def people(self) -> int:
        """How many different people are enrolled."""
        return len(set(self._subjects))

    def search(self, templates: Templates, threshold: float) -> frozenset[str]:
        """Returns the pseudonyms of everyone at least as similar as `threshold` to one of `templates`.

        `templates` is float32 [faces, dimensions], of unit length.
        """
        if not len(self) or not len(templates):
            return frozenset()
        asked = np.asarray(templates, np.float32) @ self._rotation.T
        rows = np.flatnonzero(((self._rotated @ asked.T) >= threshold).any(axis=1))
        return frozenset(self._subjects[row] for row in rows.tolist())


def seal_gallery(
    enrolled: Sequence[Enrolled], *, model_id: str, key: bytes, token_bytes: Callable[[int], bytes]
) -> bytes:
    """Returns the gallery as a file that only `key` (32 bytes, secret) opens.

    Raises `BackendError` where templates are not unit vectors of one length.
    """
    rows = np.array([row.template for row in enrolled], np.float32)
    if len(enrolled) == 0 or rows.ndim != 2 or not np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-3):
        raise BackendError("a gallery needs at least one template, and all of one length and norm 1")
    rotated = (rows @ _rotation(key, model_id, rows.shape[1]).T).astype("<f4")
    head = {
        "model": model_id, "dimensions": rows.shape[1],
        "people": [{"subject": row.subject, "basis": row.basis} for row in enrolled],
    }  # fmt: skip
    text = json.dumps(head, sort_keys=True).encode()
    nonce = token_bytes(_NONCE_BYTES)
    content = len(text).to_bytes(4, "little") + text + rotated.tobytes()
    return MAGIC + nonce + AESGCM(_derive(key, b"seal")).encrypt(nonce, content, MAGIC)


def open_gallery(data: bytes, *, key: bytes) -> Gallery:
    """Returns the gallery in a sealed file. Raises `BackendError` for another key or a changed file."""
    if not data.startswith(MAGIC) or len(data) > MAX_GALLERY_BYTES:
        raise BackendError("not a face gallery of this version, or too large")
    nonce, sealed = data[len(MAGIC) : len(MAGIC) + _NONCE_BYTES], data[len(MAGIC) + _NONCE_BYTES :]
    try:
        content = AESGCM(_derive(key, b"seal")).decrypt(nonce, sealed, MAGIC)
    except (InvalidTag, ValueError) as error:
        raise BackendError("the face gallery does not open: another key, or the file was changed") from error
    size = int.from_bytes(content[:4], "little")
    head = json.loads(content[4 : 4 + size])
    dimensions = int(head["dimensions"])
    rotated = np.frombuffer(content[4 + size :], "<f4").reshape(-1, dimensions)
    subjects = [str(person["subject"]) for person in head["people"]]
    if len(subjects) != len(rotated):
        raise BackendError("the face gallery has another number of people than of templates")
    model_id = str(head["model"])
    return Gallery(model_id, subjects, rotated, _rotation(key, model_id, dimensions))


@dataclass(frozen=True)
class FaceMatcher:
    """The whole path from a picture to the protected people in it."""

    detector: FaceBackend
    embedder: FaceEmbedder
    gallery: Gallery
    calibration: Calibration

    def __post_init__(self) -> None:
        models = {self.embedder.model_id, self.gallery.model_id, self.calibration.model_id}
        if len(models) > 1:
            raise BackendError(f"embedder, gallery and calibration are of different models: {sorted(models)}")

    def matched(self, pixels: NDArray[np.uint8], *, wrong_person_at_most: float) -> frozenset[str]:
        """Returns the pseudonyms of the protected people in `pixels`, uint8 [H, W, 3].

        `wrong_person_at_most` is the share of pictures of strangers that may match anybody in the gallery.
        Raises `BackendError` where a model cannot run, or the calibration does not support that share.
        """
        faces = [face for face in self.detector.detect(pixels) if _usable(face)]
        if not faces:
            return frozenset()
        threshold = self.calibration.threshold(
            wrong_person_at_most, comparisons=len(self.gallery) * len(faces)
        )
        return self.gallery.search(self.embedder.embed(pixels, faces), threshold)


def _usable(face: FaceDetection) -> bool:
    left, top, right, bottom = face.box
    return face.probability >= MIN_PROBABILITY and min(right - left, bottom - top) >= MIN_FACE_SIDE


def _derive(key: bytes, purpose: bytes) -> bytes:
    if len(key) != _KEY_BYTES:
        raise BackendError(f"the gallery key must have {_KEY_BYTES} bytes, not {len(key)}")
    return HKDF(hashes.SHA256(), _KEY_BYTES, None, b"assay gallery " + purpose).derive(key)


def _rotation(key: bytes, model_id: str, dimensions: int) -> Templates:
    """Returns the secret orthogonal matrix [dimensions, dimensions] of a key and a model (Haar measure)."""
    seed = _derive(key, b"rotation " + model_id.encode())
    rng = np.random.Generator(np.random.Philox(int.from_bytes(seed, "little") % (1 << 256)))
    q, r = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))
    return np.asarray(q * np.sign(np.diag(r)), np.float32)
