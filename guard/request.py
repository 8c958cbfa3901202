"""What the guard is asked about: texts and pictures of one request, at one stage."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from guard.adapters import Adapter
from guard.errors import PictureError
from guard.model import Stage


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """Largest picture that is decoded."""

    max_bytes: int = 32 * 2**20  # a 50-megapixel JPEG of a camera has about 25 MB
    max_pixels: int = 64_000_000  # 192 MB as RGB; bounds memory against decompression bombs
    min_side: int = 8  # pixels; nothing smaller can show a face


@dataclass(frozen=True, slots=True)
class Text:
    """One text that the model will see; `role` says which: prompt, negative_prompt, rewritten_prompt, ..."""

    role: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One picture: `pixels` uint8 [H, W, 3] sRGB, `sha256` of its file (hex), the consent tokens with it."""

    role: str
    pixels: NDArray[np.uint8] = field(repr=False)
    sha256: str
    consents: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise PictureError(f"pixels must be uint8 [H, W, 3], not {self.pixels.dtype} {self.pixels.shape}")

    @staticmethod
    def from_bytes(
        role: str, data: bytes, *, consents: tuple[str, ...] = (), limits: PictureLimits = PictureLimits()
    ) -> Picture:
        """Decodes a picture file, upright. Raises `PictureError` where it is none or too large."""
        if len(data) > limits.max_bytes:
            raise PictureError(f"the picture has {len(data):,} bytes; at most {limits.max_bytes:,} are read")
        pixels = _decode(data, limits)
        return Picture(role, pixels, hashlib.sha256(data).hexdigest(), consents)

    @staticmethod
    def from_file(
        role: str, path: Path, *, consents: tuple[str, ...] = (), limits: PictureLimits = PictureLimits()
    ) -> Picture:
        """Reads and decodes the picture at `path`. Raises `PictureError`."""
        try:
            with path.open("rb") as file:
                data = file.read(limits.max_bytes + 1)
        except OSError as error:
            raise PictureError(f"{path} cannot be read: {error.strerror}") from error
        return Picture.from_bytes(role, data, consents=consents, limits=limits)


def _decode(data: bytes, limits: PictureLimits) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")  # Pillow warns of its own size limit; ours is checked here
            width, height = image.size
            if width * height > limits.max_pixels:
                raise PictureError(
                    f"the picture is {width} x {height}; at most {limits.max_pixels:,} pixels are read"
                )
            if min(width, height) < limits.min_side:
                raise PictureError(
                    f"the picture is {width} x {height}; its sides must be at least {limits.min_side}"
                )
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except PictureError:
        raise
    except (
        Exception
    ) as error:  # decoders of hostile files raise almost anything, from OSError to struct.error
        raise PictureError(f"not a picture that can be read: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class GuardRequest:
    """Everything of one request that one stage looks at; adapters come from `read_adapter`.

    `tenant` is who asks (exceptions and consents name it), `purpose` is what for (consents name it).
    """

    stage: Stage
    texts: tuple[Text, ...] = ()
    pictures: tuple[Picture, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    tenant: str = "default"
    purpose: str = "generate"

    def __post_init__(self) -> None:
        object.__setattr__(self, "stage", Stage(self.stage))  # callers may pass the plain word

    def all_texts(self) -> tuple[Text, ...]:
        """Returns the texts, followed by what the adapters' metadata say."""
        metadata = (Text("adapter_metadata", text) for adapter in self.adapters for text in adapter.texts())
        return (*self.texts, *metadata)
