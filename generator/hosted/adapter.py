"""The interface of a provider's API: submit, poll, fetch, cost."""

from __future__ import annotations

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from PIL import Image

from generator.hosted.errors import HostedError
from generator.hosted.wire import Wire
from generator.references import ReferenceFrames, fitted
from generator.request import MediaKind, Request
from generator.systems import SystemSpec


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the provider knows us by. `secret` is for those who sign their tokens themselves (Kling)."""

    key: str = field(repr=False)
    secret: str = field(default="", repr=False)


class State(StrEnum):
    """Where a task stands. What a provider refuses or fails is an exception, not a state."""

    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a poll says: `progress` 0 to 1; `location` is what `fetch` needs, once done."""

    state: State
    progress: float = 0.0
    location: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """List price of one result in US dollars; an estimate, and the invoice counts."""

    dollars: float


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A completed request that the guard has passed, with its references as the guard has seen them."""

    request: Request
    references: tuple[ReferenceFrames, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return (self.request.frames or 0) / (self.request.fps or 1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.request.width or 0, self.request.height or 0

    @property
    def resolution(self) -> str:
        """`480p`, `720p`, `1080p`: the short side."""
        return f"{min(self.size)}p"

    @property
    def ratio(self) -> str:
        """`16:9`, `9:16` or `1:1`, whichever is nearest."""
        width, height = self.size
        return "1:1" if width == height else "16:9" if width > height else "9:16"

    def pictures(self) -> list[bytes]:
        """The reference pictures as PNG of the clip's size, from the pixels that the guard has seen."""
        given = [r for r in self.references if r.reference.kind is MediaKind.IMAGE]
        return [_png(fitted(reference.frames[0], *self.size)) for reference in given]

    def files(self, kind: MediaKind) -> list[str]:
        """The references of a kind as data URLs."""
        if kind is MediaKind.IMAGE:
            return [data_url(picture, "image/png") for picture in self.pictures()]
        given = [reference for reference in self.references if reference.reference.kind is kind]
        return [data_url(reference.reference.path.read_bytes(), reference.mime) for reference in given]


def data_url(content: bytes, mime: str) -> str:
    """RFC 2397, base64."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class HostedApi(ABC):
    """One provider. `base` of the wire is its address; `now` gives seconds since 1970, for signed tokens."""

    spec: SystemSpec
    credentials: Credentials
    wire: Wire
    now: Callable[[], float]

    address: ClassVar[str]
    """Where the provider's API is, without a path."""

    @abstractmethod
    def submit(self, asked: Asked) -> str:
        """Start a task and return the provider's name for it. Raises `HostedError`."""

    @abstractmethod
    def poll(self, task: str) -> Answer:
        """How the task stands. Raises `HostedError`, `HostedRefusalError` where moderation stopped it."""

    def fetch(self, location: str, target: Path) -> None:
        """Write the finished file to `target`. Raises `HostedError`. No key is sent to where files lie."""
        self.wire.download(location, target)

    def cancel(self, task: str) -> None:
        """Stop a task where the provider can, so that it costs no more. Errors are of no consequence."""
        return None

    def cost(self, request: Request) -> Cost:
        """The list price of a completed request."""
        return Cost(round(self.spec.price * Asked(request).seconds, 4))


def expect(body: Any, *path: str | int) -> Any:
    """The value at `path` of a JSON answer. Raises `HostedError` where it is not there."""
    value = body
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError) as error:
            where = ".".join(map(str, path))
            raise HostedError(f"the provider's answer has no {where}") from error
    return value


def text(value: object) -> str:
    """A provider's words as one line of at most 300 characters."""
    return " ".join(str(value).split())[:300]
