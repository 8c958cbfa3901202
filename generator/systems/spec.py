"""What a row of the table of systems says, and how a request is filled in and checked by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from generator.errors import RequestError
from generator.request import MAX_FRAMES, Codec, MediaFormat, MediaKind, Request

MIN_SOUND_SECONDS: Final = 1.0
"""One period of the mark of sound (docs/spec/audio.md, 1) and no less."""


class Seam(StrEnum):
    """Where the mark goes in."""

    FETCHED = "fetched"
    """In the finished file of a hosted system: an unmarked one exists before, at the provider and here."""

    DECODE = "decode"
    """Inside `vae.decode`: one call gives the whole result, or whole frames of it."""
    ASSEMBLED = "assembled"
    """In the post-processor, once: what decode returns is tiled, blended or fed back before it is a
    result."""


class Provider(StrEnum):
    """Who runs a hosted system, by the API that it is called through."""

    OPENAI = "openai"
    VEO = "veo"
    RUNWAY = "runway"
    KLING = "kling"
    PIKA = "pika"
    SEEDANCE = "seedance"


class Takes(StrEnum):
    """Whether a system needs, allows or refuses a reference of a kind."""

    REQUIRED = "required"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class SecondPass:
    """Structure first, at a part of the size, then refinement of the enlarged latents by another pipeline of
    the same weights ("hires fix"). Only the second decodes, and that decode is marked.

    `pipeline` is a diffusers class that takes latents as `image`, `scale` how much larger each side becomes,
    `strength` the share of the steps that the second pass runs again.
    """

    pipeline: str
    scale: int = 2
    strength: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSpec:
    """One row. `only_size`: width and height are the only ones it makes.

    `frames = frame_step * k + 1` pictures, width and height multiples of `size_multiple` pixels.

    `takes` maps a kind of reference to whether it must be there, `arguments` to the names that the pipeline
    has for them, in their order (silent: the kind itself); `options` are further fixed keyword arguments of
    the call; a `None` name means that the pipeline has no such argument. `decoder` names the folder beside
    the VAE that holds the decoder to use in its place (`generator.second_decoder`). `most` maps a kind of
    reference to how many are taken, as many as it has names where it is silent. Where `sizes` (width,
    height) or `lengths` (seconds) are listed, no others are made. `sound` says that its clips come with a
    track.

    With a `provider` the system is hosted: `source` is the model's name in its API, `price` its list price
    in US dollars per second of video.
    """

    name: str
    source: str
    pipeline: str
    output: MediaKind
    width: int
    height: int
    frames: int = 1
    fps: float = 0.0
    frame_step: int = 1
    size_multiple: int = 16
    only_size: bool = False
    steps: int = 50
    guidance: float = 5.0
    guidance_name: str | None = "guidance_scale"
    frames_name: str | None = "num_frames"
    prompted: bool = True
    negative: bool = True
    max_sequence_length: int | None = None
    takes: Mapping[str, Takes] = field(default_factory=dict)
    arguments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    seam: Seam = Seam.DECODE
    sound: bool = False
    second_pass: SecondPass | None = None
    decoder: str | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    lengths: tuple[float, ...] = ()
    most: Mapping[str, int] = field(default_factory=dict)
    provider: Provider | None = None
    price: float = 0.0

    @property
    def formats(self) -> tuple[MediaFormat, ...]:
        """The containers that this system's output goes into, the default first. A system that runs here
        makes a clip of one frame as a picture."""
        images = (MediaFormat.PNG, MediaFormat.JPEG, MediaFormat.WEBP, MediaFormat.AVIF)
        if self.output is MediaKind.IMAGE:
            return images
        return (MediaFormat.MP4,) if self.provider else (MediaFormat.MP4, MediaFormat.MOV, *images)

    def frames_in(self, seconds: float, fps: float | None = None) -> int | None:
        """Frames of a clip of about `seconds` at `fps` (None: the system's own rate): the nearest count that
        the system can make, `frame_step * k + 1`. None where there is no rate: of pictures.

        Raises `RequestError` for more than `MAX_FRAMES`.
        """
        rate = fps or self.fps
        if not rate:
            return None
        if seconds * rate > MAX_FRAMES:
            raise RequestError(f"seconds: {seconds:g} is longer than any model makes")
        return max(0, round((seconds * rate - 1) / self.frame_step)) * self.frame_step + 1

    def complete(self, request: Request) -> Request:
        """`request` with every None but the seed filled in from this row.

        Raises `RequestError` when the system cannot do what is asked; nothing is rounded in silence.
        """
        wanted = request.format or (request.codec.formats if request.codec else self.formats)[0]
        if wanted not in self.formats:
            raise RequestError(f"format: {self.name} makes {', '.join(self.formats)}, not {wanted}")
        if self.output is MediaKind.IMAGE and request.frames not in (None, 1):
            raise RequestError(f"frames: {self.name} makes one picture, not {request.frames}")
        whole = replace(
            request,
            width=request.width or self.width,
            height=request.height or self.height,
            frames=request.frames or (1 if wanted.kind is MediaKind.IMAGE else self.frames),
            fps=request.fps or self.fps or None,
            steps=request.steps or self.steps,
            guidance=self.guidance if request.guidance is None else request.guidance,
            format=wanted,
            codec=self._codec(request, wanted),
        )
        self._check(whole)
        return whole

    @property
    def codecs(self) -> tuple[Codec, ...]:
        """How its clips may be encoded; what a provider made is marked in the codec that it came in."""
        if self.output is MediaKind.IMAGE:
            return ()
        return (Codec.H264,) if self.provider else tuple(Codec)

    def _codec(self, request: Request, wanted: MediaFormat) -> Codec | None:
        if wanted.kind is MediaKind.IMAGE:
            return None
        codec = request.codec or Codec.H264
        if codec not in self.codecs:
            raise RequestError(f"codec: {self.name} makes {', '.join(self.codecs)}, not {codec}")
        return codec

    def names_of(self, kind: str) -> tuple[str, ...]:
        """What the pipeline calls the references of a kind, in the order in which they are given."""
        return self.arguments.get(kind, (kind,))

    def _check(self, request: Request) -> None:
        if self.only_size and (request.width, request.height) != (self.width, self.height):
            asked = f"{request.width}x{request.height}"
            raise RequestError(
                f"size: {self.name} makes {self.width}x{self.height} only, not {asked}; leave size out, or "
                "ask the operator for another model"
            )
        if self.sizes and (request.width, request.height) not in self.sizes:
            known = ", ".join(f"{width}x{height}" for width, height in self.sizes)
            raise RequestError(f"size: {self.name} makes {known}, not {request.width}x{request.height}")
        for side in ("width", "height"):
            self._check_side(side, getattr(request, side))
        self._check_frames(request.frames or 1)
        self._check_sound(request)
        if request.prompt and not self.prompted:
            raise RequestError(f"prompt: {self.name} reads none; leave it empty and give a reference")
        if request.negative_prompt and not self.negative:
            raise RequestError(f"negative_prompt: {self.name} has none; leave it empty")

    def _check_side(self, side: str, pixels: int) -> None:
        if pixels % self.size_multiple:
            near = max(1, round(pixels / self.size_multiple)) * self.size_multiple
            raise RequestError(
                f"{side}: {self.name} needs a multiple of {self.size_multiple}, not {pixels}; {near} would do"
            )

    def _check_frames(self, frames: int) -> None:
        if self.lengths and frames not in [round(seconds * self.fps) for seconds in self.lengths]:
            known = ", ".join(f"{seconds:g}" for seconds in self.lengths)
            raise RequestError(f"seconds: {self.name} makes {known}, not {frames / self.fps:g}")
        if (frames - 1) % self.frame_step:
            near = min(MAX_FRAMES, round((frames - 1) / self.frame_step) * self.frame_step + 1)
            raise RequestError(
                f"frames: {self.name} needs {self.frame_step}k+1, not {frames}; {near} would do"
            )

    def _check_sound(self, request: Request) -> None:
        is_clip = request.format is not None and request.format.kind is MediaKind.VIDEO
        if self.sound and is_clip and (request.frames or 1) < MIN_SOUND_SECONDS * (request.fps or 1):
            raise RequestError(
                f"frames: {self.name} makes sound, whose mark needs {MIN_SOUND_SECONDS:g} s; ask for more"
            )

    def check_references(self, request: Request) -> None:
        """Raise `RequestError` unless the system takes the references given.

        Apart from `complete`, because the guard answers first: a picture that must not be used at all is
        refused for that reason, whether or not the system would have taken it.
        """
        for kind in (MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.AUDIO):
            given = sum(reference.kind is kind for reference in request.references)
            takes = self.takes.get(kind)
            if given and takes is None:
                raise RequestError(f"references: {self.name} takes no {kind}")
            names = self.names_of(kind)
            if takes is Takes.REQUIRED and given < len(names):
                wanted = f"one {kind}" if len(names) == 1 else f"as {kind}: {', '.join(names)}"
                raise RequestError(f"references: {self.name} needs {wanted}")
            most = self.most.get(kind, len(names))
            if given > most:
                taken = f"one {kind}" if most == 1 else f"up to {most} of kind {kind}"
                raise RequestError(f"references: {self.name} takes {taken}, not {given}")


IMAGE_IN: Final = {"image": Takes.REQUIRED}
VIDEO_IN: Final = {"video": Takes.REQUIRED}
