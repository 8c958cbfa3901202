"""Pictures and animated pictures through Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from watermark.errors import MediaError
from watermark.limits import MediaLimits

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
_DEFAULT_FRAME_MS = 100  # what browsers show a frame without a duration
_ORIENTATION = 0x0112  # EXIF tag
_SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height


@dataclass(frozen=True)
class StillFacts:
    width: int
    height: int
    frames: int
    seconds: float


def probe(path: Path, limits: MediaLimits) -> StillFacts:
    """Size, frames and duration. The pixels of the first frame are decoded only if they are within
    `limits`.
    """
    with _open(path) as image:
        width, height = image.size
        if width * height > limits.max_pixels:
            raise MediaError(
                f"{path.name}: {width} x {height} pixels, more than the limit of {limits.max_pixels}"
            )
        if image.getexif().get(_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        frames = getattr(image, "n_frames", 1)
        if frames > limits.max_frames:
            raise MediaError(f"{path.name}: {frames} frames, more than the limit of {limits.max_frames}")
        image.load()
        duration = _duration(image) if frames > 1 else 0.0
        return StillFacts(width, height, frames, duration)


def read(path: Path, stride: int = 1) -> Iterator[NDArray[np.uint8]]:
    """Every `stride`-th frame, uint8 [H, W, 3]."""
    with _open(path) as image:
        for index, frame in enumerate(ImageSequence.Iterator(image)):
            if index % stride == 0:
                yield _to_rgb(ImageOps.exif_transpose(frame))


def _duration(image: Image.Image) -> float:
    """Seconds. Pillow knows a frame's duration only once it is decoded."""
    total = 0.0
    for frame in ImageSequence.Iterator(image):
        frame.load()
        total += frame.info.get("duration") or _DEFAULT_FRAME_MS
    return total / 1000


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image, np.uint32) // 257
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.asarray(image.convert("RGB"))


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    """An open picture; everything that Pillow finds wrong with it, then or later, becomes a `MediaError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is refused by our own limits anyway
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except UnidentifiedImageError as error:
        raise MediaError(f"{path.name}: not a readable picture") from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"{path.name}: more pixels than any picture should have") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, RuntimeError) as error:
        # RuntimeError: Pillow's AVIF decoder
        raise MediaError(f"{path.name}: the picture is broken or incomplete ({error})") from error
