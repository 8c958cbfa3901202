"""What a caller asks for: plain values, checked at once against named limits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from generator.errors import RequestError

MAX_PROMPT_CHARS: Final = 8_000
"""Longer than any text encoder reads (512 tokens), short enough for the guard to read in full."""
MIN_SIDE: Final = 256
"""Pixels. A smaller picture has too few cells for the mark to survive a re-encode."""
MAX_SIDE: Final = 4_096
"""Pixels. The largest frame that the usual H.264 level (5.2) takes."""
MAX_FRAMES: Final = 1_921
"""80 seconds at 24 frames a second; one frame more keeps the 4k+1 rule of the video decoders."""
MAX_FPS: Final = 120
MAX_STEPS: Final = 500
MAX_GUIDANCE: Final = 100.0
MAX_SEED: Final = 2**63 - 1
"""`torch.Generator.manual_seed` takes 64 bits; signed keeps it a JSON and SQL integer."""
MAX_REFERENCES: Final[dict[str, int]] = {"image": 9, "video": 3, "audio": 3}
"""The most that any public system takes per request."""

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class MediaKind(StrEnum):
    """What a file holds."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"


class MediaFormat(StrEnum):
    """The containers that a released file may have."""

    MP4 = "mp4"
    MOV = "mov"
    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    AVIF = "avif"
    WAV = "wav"
    MP3 = "mp3"
    M4A = "m4a"
    FLAC = "flac"

    @property
    def kind(self) -> MediaKind:
        if self in (MediaFormat.MP4, MediaFormat.MOV):
            return MediaKind.VIDEO
        sounds = (MediaFormat.WAV, MediaFormat.MP3, MediaFormat.M4A, MediaFormat.FLAC)
        return MediaKind.AUDIO if self in sounds else MediaKind.IMAGE

    @property
    def mime(self) -> str:
        others = {MediaFormat.MP3: "mpeg", MediaFormat.M4A: "mp4", MediaFormat.MOV: "quicktime"}
        named = others.get(self, self.value)
        return f"{self.kind}/{named}"

    @property
    def suffix(self) -> str:
        return ".jpg" if self is MediaFormat.JPEG else f".{self}"


class Codec(StrEnum):
    """How the pictures of a released clip are encoded."""

    H264 = "h264"
    HEVC = "hevc"
    AV1 = "av1"
    PRORES = "prores"

    @property
    def formats(self) -> tuple[MediaFormat, ...]:
        """The containers that it goes into, the usual one first."""
        if self is Codec.PRORES:
            return (MediaFormat.MOV,)
        return (MediaFormat.MP4,) if self is Codec.AV1 else (MediaFormat.MP4, MediaFormat.MOV)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A picture, clip or sound that conditions the generation. It becomes an ingredient of the manifest.

    `consents` are tokens of the people shown, which the guard verifies for this very file.
    """

    path: Path
    kind: MediaKind = MediaKind.IMAGE
    title: str = "reference"
    consents: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", MediaKind(self.kind))  # other packages' words for it will do
        if not self.title or len(self.title) > 200:
            raise RequestError("reference title: give 1 to 200 characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One picture or one clip. What is None is filled in by the system's row (`SystemSpec.complete`).

    `width` and `height` in pixels, `frames` the exact number of pictures, `fps` their rate, `seed` drawn when
    None. Raises `RequestError`, naming the field, when a value is out of its limits.
    """

    prompt: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    frames: int | None = None
    fps: float | None = None
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    references: tuple[Reference, ...] = ()
    tenant: str = "default"
    purpose: str = "generate"
    format: MediaFormat | None = None
    codec: Codec | None = None
    title: str = ""

    def __post_init__(self) -> None:
        self._check_texts()
        _within("width", self.width, MIN_SIDE, MAX_SIDE)
        _within("height", self.height, MIN_SIDE, MAX_SIDE)
        _within("frames", self.frames, 1, MAX_FRAMES)
        _within("fps", self.fps, 1, MAX_FPS)
        _within("seed", self.seed, 0, MAX_SEED)
        _within("steps", self.steps, 1, MAX_STEPS)
        _within("guidance", self.guidance, 0, MAX_GUIDANCE)
        self._check_references()
        self._check_codec()
        if self.format is not None and self.format.kind is MediaKind.IMAGE and self.frames not in (None, 1):
            raise RequestError(
                f"frames: a {self.format} file holds 1 picture, not {self.frames}; ask for mp4"
            )

    def _check_texts(self) -> None:
        if not self.prompt.strip() and not self.references:
            raise RequestError("prompt: empty; say what to make, or give a reference")
        for name, text in (("prompt", self.prompt), ("negative_prompt", self.negative_prompt)):
            if len(text) > MAX_PROMPT_CHARS:
                raise RequestError(f"{name}: {len(text)} characters; at most {MAX_PROMPT_CHARS} are read")
            if "\x00" in text:
                raise RequestError(f"{name}: holds a NUL character; remove it")
        if not _TENANT.fullmatch(self.tenant):
            raise RequestError(f"tenant: {self.tenant!r}; use 1 to 64 letters, digits, '.', '_' or '-'")
        if len(self.title) > 200 or len(self.purpose) > 200:
            raise RequestError("title, purpose: at most 200 characters each")

    def _check_codec(self) -> None:
        if self.codec is None or self.format is None or self.format in self.codec.formats:
            return
        if self.format.kind is MediaKind.IMAGE:
            raise RequestError(f"codec: a {self.format} file has none; leave it out")
        raise RequestError(
            f"codec: {self.codec} goes into {' or '.join(self.codec.formats)}, not {self.format}"
        )

    def _check_references(self) -> None:
        for kind, most in MAX_REFERENCES.items():
            given = sum(reference.kind == kind for reference in self.references)
            if given > most:
                raise RequestError(f"references: {given} of kind {kind}; at most {most}")

    def with_seed(self, seed: int) -> Request:
        """The same request with this seed."""
        return replace(self, seed=seed)


def _within(name: str, value: float | None, low: float, high: float) -> None:
    # The negated form also refuses NaN, which compares false with everything.
    if value is not None and not low <= value <= high:
        raise RequestError(f"{name}: {value}; give a value from {low} to {high}")
