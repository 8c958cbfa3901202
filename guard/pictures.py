"""What is known of the pictures of a request, found out when a rule asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from guard.consent import ConsentVerifier
from guard.errors import BackendError, ConsentError
from guard.faces import FACE_PROBABILITY, FaceBackend
from guard.hashes import KnownPictures
from guard.model import Face
from guard.request import GuardRequest, Picture


class LazyPictures:
    """Looks at pictures when a rule asks; the detector runs at most once per picture and evaluation."""

    def __init__(
        self,
        request: GuardRequest,
        faces: FaceBackend | None,
        consents: ConsentVerifier | None,
        clock: Callable[[], datetime],
        hashes: Mapping[str, KnownPictures],
    ) -> None:
        self._request = request
        self._faces = faces
        self._consents = consents
        self._clock = clock
        self._hashes = hashes
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

    def consented(self, index: int) -> bool:
        picture = self._request.pictures[index]
        return any(self._valid(token, picture) for token in picture.consents)

    def _valid(self, token: str, picture: Picture) -> bool:
        if self._consents is None:
            return False
        request = self._request
        try:
            self._consents.verify(
                token,
                tenant=request.tenant,
                purpose=request.purpose,
                sha256=picture.sha256,
                now=self._clock(),
            )
        except ConsentError:
            return False
        return True
