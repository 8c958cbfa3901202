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

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from guard.calibration import Calibration
from guard.errors import BackendError
from guard.templates import FaceReader, Templates

MAGIC = b"assay gallery 1\n"
MAX_GALLERY_BYTES = 1 << 30  # 100,000 people with 512 numbers take 200 MB
MAX_SUBJECT_CHARACTERS = 100
_NONCE_BYTES = 12
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One template: `subject` is a pseudonym, `basis` why it may be kept, `template` float32 [dimensions]."""

    subject: str
    basis: str
    template: Templates


class Gallery:
    """Enrolled templates of one pair of detector and embedder, rotated, ready to be searched. Immutable."""

    def __init__(
        self,
        model_id: str,
        subjects: Sequence[str],
        rotated: Templates,
        rotation: Templates,
        bases: Sequence[str] = (),
    ) -> None:
        self.model_id = model_id
        self._subjects = tuple(subjects)
        self._bases = tuple(bases) or ("",) * len(self._subjects)
        self._rotated = np.ascontiguousarray(rotated, np.float32)
        self._rotation = rotation

    def __len__(self) -> int:
        return len(self._subjects)

    @property
    def people(self) -> dict[str, tuple[str, int]]:
        """Everyone enrolled: the basis, and the number of templates, by pseudonym."""
        counts = {subject: self._subjects.count(subject) for subject in dict.fromkeys(self._subjects)}
        bases = dict(zip(self._subjects, self._bases, strict=True))
        return {subject: (bases[subject], count) for subject, count in counts.items()}

    def search(self, templates: Templates, threshold: float) -> frozenset[str]:
        """Returns the pseudonyms of everyone at least as similar as `threshold` to one of `templates`.

        `templates` is float32 [faces, dimensions], of unit length.
        """
        return frozenset().union(*self.search_each(templates, threshold))

    def search_each(self, templates: Templates, threshold: float) -> tuple[frozenset[str], ...]:
        """Returns for each of `templates` the pseudonyms of everyone at least as similar as `threshold`."""
        if not len(self) or not len(templates):
            return (frozenset(),) * len(templates)
        asked = np.asarray(templates, np.float32) @ self._rotation.T
        alike = (asked @ self._rotated.T) >= threshold
        return tuple(frozenset(self._subjects[row] for row in np.flatnonzero(one).tolist()) for one in alike)

    def among(self, subjects: frozenset[str]) -> Gallery:
        """Returns the part of the gallery that holds these people."""
        return self._part([row for row, name in enumerate(self._subjects) if name in subjects])

    def with_person(self, person: Enrolled) -> Gallery:
        """Returns a gallery with one template more. Raises `BackendError` where it does not fit."""
        fresh = _checked([person], self._rotation.shape[0]) @ self._rotation.T
        return Gallery(
            self.model_id,
            (*self._subjects, person.subject),
            np.concatenate([self._rotated, fresh]),
            self._rotation,
            (*self._bases, person.basis),
        )

    def without(self, subject: str) -> Gallery:
        """Returns a gallery without a person. Raises `BackendError` where nobody has that pseudonym."""
        kept = [row for row, name in enumerate(self._subjects) if name != subject]
        if len(kept) == len(self):
            raise BackendError(f"nobody is enrolled as {subject!r}")
        return self._part(kept)

    def _part(self, kept: list[int]) -> Gallery:
        return Gallery(
            self.model_id,
            [self._subjects[row] for row in kept],
            self._rotated[kept],
            self._rotation,
            [self._bases[row] for row in kept],
        )

    def seal(self, key: bytes, token_bytes: Callable[[int], bytes]) -> bytes:
        """Returns the file that only `key` opens; it must be the key whose rotation this gallery has."""
        head = {
            "model": self.model_id, "dimensions": self._rotation.shape[0],
            "people": [
                {"subject": subject, "basis": basis}
                for subject, basis in zip(self._subjects, self._bases, strict=True)
            ],
        }  # fmt: skip
        text = json.dumps(head, sort_keys=True).encode()
        nonce = token_bytes(_NONCE_BYTES)
        content = len(text).to_bytes(4, "little") + text + self._rotated.astype("<f4").tobytes()
        return MAGIC + nonce + AESGCM(_derive(key, b"seal")).encrypt(nonce, content, MAGIC)


def new_gallery(enrolled: Sequence[Enrolled], *, model_id: str, key: bytes) -> Gallery:
    """Returns a gallery of `enrolled`, rotated by `key` (32 bytes, secret).

    Raises `BackendError` where there is nobody, or templates are not unit vectors of one length.
    """
    dimensions = len(enrolled[0].template) if enrolled else 0
    rows = _checked(enrolled, dimensions)
    rotation = _rotation(key, model_id, dimensions)
    subjects, bases = [row.subject for row in enrolled], [row.basis for row in enrolled]
    return Gallery(model_id, subjects, rows @ rotation.T, rotation, bases)


def seal_gallery(
    enrolled: Sequence[Enrolled], *, model_id: str, key: bytes, token_bytes: Callable[[int], bytes]
) -> bytes:
    """Returns the gallery of `enrolled` as a file that only `key` (32 bytes, secret) opens.

    Raises `BackendError` as `new_gallery` does.
    """
    return new_gallery(enrolled, model_id=model_id, key=key).seal(key, token_bytes)


def _checked(enrolled: Sequence[Enrolled], dimensions: int) -> Templates:
    """Returns the templates as one array. Raises `BackendError`."""
    if any(not 0 < len(row.subject) <= MAX_SUBJECT_CHARACTERS for row in enrolled):
        raise BackendError(f"a pseudonym has 1 to {MAX_SUBJECT_CHARACTERS} characters")
    if not enrolled or not all(row.template.shape == (dimensions,) for row in enrolled):
        raise BackendError("a gallery needs at least one template, and all of one length and norm 1")
    rows = np.array([row.template for row in enrolled], np.float32)
    if not np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-3):
        raise BackendError("a gallery needs at least one template, and all of one length and norm 1")
    return rows


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
    bases = [str(person["basis"]) for person in head["people"]]
    if len(subjects) != len(rotated):
        raise BackendError("the face gallery has another number of people than of templates")
    model_id = str(head["model"])
    return Gallery(model_id, subjects, rotated, _rotation(key, model_id, dimensions), bases)


@dataclass(frozen=True)
class FaceMatcher:
    """The whole path from a picture to the protected people in it."""

    reader: FaceReader
    gallery: Gallery
    calibration: Calibration

    def __post_init__(self) -> None:
        models = {self.reader.model_id, self.gallery.model_id, self.calibration.model_id}
        if len(models) > 1:
            raise BackendError(
                f"models, gallery and calibration do not belong together: {sorted(models)}; enrol and "
                "calibrate with the models in use"
            )

    @property
    def model_id(self) -> str:
        """Names detector and embedder."""
        return self.reader.model_id

    def shown(
        self, pixels: NDArray[np.uint8], *, wrong_person_at_most: float, among: frozenset[str] | None = None
    ) -> tuple[frozenset[str], ...]:
        """Returns for each face in `pixels`, uint8 [H, W, 3], the pseudonyms of whom it may be.

        An empty set stands for a face that nobody in the gallery has, and for one too small to compare.
        `among` names the people who are looked for; None: everyone.
        `wrong_person_at_most` is the share of pictures of strangers that may match anybody in the gallery.
        Raises `BackendError` where a model cannot run, or the calibration does not support that share.
        """
        seen = self.reader.read(pixels)
        nobody: frozenset[str] = frozenset()
        gallery = self.gallery if among is None else self.gallery.among(among)
        comparisons = len(gallery) * len(seen.templates)
        if not comparisons:
            return (nobody,) * seen.count
        threshold = self.calibration.threshold(wrong_person_at_most, comparisons=comparisons)
        return (*gallery.search_each(seen.templates, threshold), *(nobody,) * seen.too_small)

    def matched(self, pixels: NDArray[np.uint8], *, wrong_person_at_most: float) -> frozenset[str]:
        """Returns the pseudonyms of the protected people in `pixels`; otherwise as `shown`."""
        faces = self.shown(pixels, wrong_person_at_most=wrong_person_at_most)
        return frozenset().union(*faces)


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
