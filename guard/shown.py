"""What pictures show, in words: the interface of `shows` conditions; `guard.clip.ClipPictures` is one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from guard.errors import BackendError
from guard.model import Certainty, Shows
from guard.request import Picture


class PictureClasses(Protocol):
    """Something that says whether a picture shows what words say."""

    @property
    def model_id(self) -> str:
        """Names the model and its version, for decisions."""
        ...

    def shows(self, pixels: NDArray[np.uint8], what: str, certainty: Certainty) -> bool:
        """True where `pixels`, uint8 [H, W, 3] sRGB, show `what`. Raises `BackendError` where unknown."""
        ...


class LazyShown:
    """Looks at the pictures of a request when a rule asks."""

    def __init__(self, pictures: Sequence[Picture], backend: PictureClasses | None) -> None:
        self._pictures = pictures
        self._backend = backend

    def shows(self, index: int, condition: Shows) -> bool:
        """True where a picture shows what `condition` asks for. Raises `BackendError` without a backend."""
        if self._backend is None:
            raise BackendError("no image-text model is set up; install one or change the rule's on_error")
        return self._backend.shows(self._pictures[index].pixels, condition.shows, condition.certainty)
