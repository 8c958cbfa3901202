"""Who may be shown: models, gallery and calibration of faces, withdrawn consents, adapters and trials."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from guard import FaceBackend, GuardError, MtcnnFaces
from guard.adapter_facts import AdapterIntake
from guard.adapter_manifest import read_manifest
from guard.calibration import Calibration
from guard.gallery import FaceMatcher, Gallery, open_gallery
from guard.templates import FaceReader, open_detector, open_embedder
from guard.trial import TrialBook
from service import keys
from service.errors import ConfigurationError
from service.private import write_private
from service.settings import Settings

GALLERY_FILE = "gallery"
CALIBRATION_FILE = "calibration.json"


def face_detector(settings: Settings) -> FaceBackend:
    """What finds faces. Raises `ConfigurationError`."""
    if settings.face_detector is None:
        return MtcnnFaces()
    try:
        return open_detector(settings.face_detector)
    except GuardError as error:
        raise ConfigurationError(f"ASSAY_FACE_DETECTOR: {error}") from error


def face_reader(settings: Settings, detector: FaceBackend | None = None) -> FaceReader | None:
    """What tells faces apart, where weights are configured. Raises `ConfigurationError`."""
    if settings.face_embedder is None:
        return None
    try:
        embedder = open_embedder(settings.face_embedder)
    except GuardError as error:
        raise ConfigurationError(f"ASSAY_FACE_EMBEDDER: {error}") from error
    return FaceReader(detector or face_detector(settings), embedder)


def people(settings: Settings, detector: FaceBackend) -> FaceMatcher | None:
    """Knows the protected people, where some are enrolled and there are weights to know them by.

    Raises `ConfigurationError` where the parts do not belong together: a gallery that is there and cannot be
    used must not be passed over.
    """
    gallery, reader = gallery_of(settings), face_reader(settings, detector)
    if gallery is None:
        return None
    if reader is None:
        raise ConfigurationError(
            f"{settings.faces / GALLERY_FILE} holds people; without ASSAY_FACE_EMBEDDER nobody is known"
        )
    try:
        return FaceMatcher(reader, gallery, calibration(settings))
    except GuardError as error:
        raise ConfigurationError(f"{settings.faces}: {error}") from error


def calibration(settings: Settings) -> Calibration:
    """How similar strangers are under the models in use. Raises `ConfigurationError`."""
    path = settings.faces / CALIBRATION_FILE
    try:
        return Calibration.from_json(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} is missing; `assay faces calibrate FOLDER` writes it") from error
    except (OSError, UnicodeDecodeError, GuardError) as error:
        raise ConfigurationError(f"{path}: {error}") from error


def gallery_of(settings: Settings) -> Gallery | None:
    """The protected people, where there are some. Raises `ConfigurationError`."""
    path = settings.faces / GALLERY_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return open_gallery(data, key=keys.gallery_key(settings))
    except GuardError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def write_gallery(settings: Settings, gallery: Gallery) -> None:
    """Seal and write the gallery, in one step; an empty one is removed."""
    path = settings.faces / GALLERY_FILE
    if not len(gallery):
        path.unlink(missing_ok=True)
        return
    write_private(path, gallery.seal(keys.gallery_key(settings), secrets.token_bytes))


@dataclass(frozen=True)
class RevokedConsents:
    """The ids in a file, one a line; read at every question, so that a withdrawal holds at once."""

    path: Path

    def __contains__(self, consent_id: object) -> bool:
        try:
            return str(consent_id) in self.path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError):
            return True  # what cannot be looked up does not count as given

    def add(self, consent_id: str) -> None:
        """Withdraw a consent. Raises `ConfigurationError`."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(consent_id + "\n")
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be written: {error.strerror}") from error


def adapters(settings: Settings, issuers: Sequence[Ed25519PublicKey]) -> AdapterIntake:
    """Who vouches for which adapters, and what their trials showed. Raises `ConfigurationError`."""
    trials = TrialBook(settings.adapter_folder / "trials")
    if not issuers:
        return AdapterIntake(trials=trials)
    manifests = []
    for path in sorted(settings.adapter_folder.glob("*.json")):
        try:
            manifests.append(read_manifest(path.read_bytes(), issuers))
        except (OSError, GuardError) as error:
            raise ConfigurationError(f"{path}: {error}") from error
    return AdapterIntake(tuple(manifests), trials)
