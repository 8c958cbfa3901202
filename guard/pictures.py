"""What is known of the pictures of a request, found out when a rule asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from guard.consent import Binding, Consent, ConsentVerifier
from guard.errors import BackendError, ConsentError
from guard.faces import FACE_PROBABILITY, FaceBackend
from guard.hashes import KnownPictures, is_copy
from guard.model import Face
from guard.request import GuardRequest, Picture

CONSENT_RATE = 1e-5  # of strangers who would pass for the person in a token


class PeopleMatcher(Protocol):
    """Something that knows the faces of protected people; `guard.gallery.FaceMatcher` is one."""

    def shown(
        self, pixels: NDArray[np.uint8], *, wrong_person_at_most: float, among: frozenset[str] | None = None
    ) -> tuple[frozenset[str], ...]:
        """Returns for each face the pseudonyms of whom it may be, none for a stranger's; `BackendError`."""
        ...


class LazyPictures:
    """Looks at pictures when a rule asks; the detector runs at most once per picture and evaluation."""

    def __init__(
        self,
        request: GuardRequest,
        faces: FaceBackend | None,
        consents: ConsentVerifier | None,
        clock: Callable[[], datetime],
        hashes: Mapping[str, KnownPictures],
        matcher: PeopleMatcher | None,
    ) -> None:
        self._request = request
        self._faces = faces
        self._consents = consents
        self._clock = clock
        self._hashes = hashes
        self._matcher = matcher
        self._people: dict[tuple[int, float], frozenset[str]] = {}
        self._probability: dict[int, float] = {}

    def face(self, index: int, condition: Face) -> bool:
        if self._faces is None:
            raise BackendError("no face detector is set up; install one or change the rule's on_error")
        if index not in self._probability:
            found = self._faces.detect(self._request.pictures[index].pixels)
            self._probability[index] = max((face.probability for face in found), default=0.0)
        return self._probability[index] >= FACE_PROBABILITY[condition.certainty]

    def known(self, index: int, hashes: str) -> bool:
        return self._hashes[hashes].matches(self._request.pictures[index].pixels)

    def people(self, index: int, wrong_person_at_most: float) -> frozenset[str]:
        key = index, wrong_person_at_most
        if key not in self._people:
            self._people[key] = frozenset().union(*self._shown(index, wrong_person_at_most))
        return self._people[key]

    def _shown(
        self, index: int, wrong_person_at_most: float, among: frozenset[str] | None = None
    ) -> tuple[frozenset[str], ...]:
        """Returns for each face of a picture whom of the gallery it may show."""
        if self._matcher is None:
            raise BackendError("no face gallery is set up; install one or change the rule's on_error")
        pixels = self._request.pictures[index].pixels
        return self._matcher.shown(pixels, wrong_person_at_most=wrong_person_at_most, among=among)

    def consented(self, index: int) -> bool:
        picture = self._request.pictures[index]
        found = [consent for token in picture.consents if (consent := self._valid(token, picture))]
        if any(_covers(consent, picture) for consent in found):
            return True
        found = [consent for consent in found if consent.binding is Binding.FACE]
        if not found:
            return False
        # A token for one person does not cover another one beside them, nor a face that nobody knows.
        faces = self._shown(index, CONSENT_RATE, frozenset(consent.subject for consent in found))
        return bool(faces) and all(faces)

    def _valid(self, token: str, picture: Picture) -> Consent | None:
        if self._consents is None:
            return None
        request = self._request
        try:
            return self._consents.verify(
                token,
                tenant=request.tenant,
                purpose=request.purpose,
                sha256=picture.sha256,
                now=self._clock(),
            )
        except ConsentError:
            return None


def _covers(consent: Consent, picture: Picture) -> bool:
    """Returns whether a valid consent names this very picture, or one that it is a copy of."""
    if consent.binding is Binding.COPIES:
        return is_copy(picture.pixels, consent.picture_pdq)
    return consent.binding is Binding.PICTURE
