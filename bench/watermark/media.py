"""Media the bench runs on: photographs and clips of a folder, and what the bench draws itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from bench.watermark import synthetic
from bench.watermark.attacks import Frames, Kind
from bench.watermark.errors import MediaError

PHOTO_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})
CLIP_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi"})
DRAWN = "drawn "
"""Prefix of the names of media that the bench draws."""


@dataclass(frozen=True)
class Medium:
    """A medium by reference: loading is repeatable, so that workers can share the description."""

    name: str
    kind: Kind
    path: Path | None
    side: int = 512
    frames: int = 36
    height: int | None = None

    def load(self) -> Frames:
        """Frames, uint8 [F, H, W, 3]: a photograph cropped to a `side` square, or a clip's first `frames`.

        A clip is scaled to `height` lines when one is given. Raises `MediaError` for what cannot be decoded.
        """
        return _load(self)


@lru_cache(2)
def _load(medium: Medium) -> Frames:
    if medium.path is None:
        return _draw(medium)
    return _photo(medium.path, medium.side) if medium.kind == "image" else _clip(medium, medium.path)


def _draw(medium: Medium) -> Frames:
    name = medium.name.removeprefix(DRAWN)
    if medium.kind == "image":
        return synthetic.HARD[name](medium.side, medium.side)[None]
    height = medium.height or 480
    return synthetic.pan(medium.frames, height, round(height * 16 / 9 / 2) * 2, seed=1)


def _photo(path: Path, side: int) -> Frames:
    try:
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise MediaError(f"{path} is not a readable picture: {error}") from error
    side = min(side, *picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    return picture[top : top + side, left : left + side][None]


def _clip(medium: Medium, path: Path) -> Frames:
    try:
        frames = [_scaled(frame, medium.height) for frame in islice(read_frames(path), medium.frames)]
    except av.FFmpegError as error:
        raise MediaError(f"{path} is not a readable clip: {error}") from error
    if not frames:
        raise MediaError(f"{path} holds no video frames")
    return np.stack(frames)


def read_frames(path: Path) -> Iterator[Frames]:
    """Frames of a clip as uint8 [H, W, 3], one at a time."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def _scaled(frame: Frames, height: int | None) -> Frames:
    if height is None or height == frame.shape[0]:
        return frame
    width = round(frame.shape[1] * height / frame.shape[0] / 2) * 2
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def find_media(folder: Path, *, side: int, frames: int, height: int | None) -> tuple[Medium, ...]:
    """Photographs and clips directly in `folder`, by name. Raises `MediaError` when there are none."""
    if not folder.is_dir():
        raise MediaError(f"{folder} is not a folder: --media wants one with photographs or clips")
    found = [_describe(path, side, frames, height) for path in sorted(folder.iterdir())]
    media = tuple(medium for medium in found if medium is not None)
    if not media:
        raise MediaError(f"{folder} holds no photographs or clips ({', '.join(sorted(PHOTO_SUFFIXES))}, ...)")
    return media


def _describe(path: Path, side: int, frames: int, height: int | None) -> Medium | None:
    suffix = path.suffix.lower()
    if suffix in PHOTO_SUFFIXES:
        return Medium(path.stem, "image", path, side, 1)
    return Medium(path.stem, "video", path, side, frames, height) if suffix in CLIP_SUFFIXES else None


def drawn_media(*, side: int, frames: int, height: int | None) -> tuple[Medium, ...]:
    """The hard pictures and the panning clip that the bench draws."""
    pictures = tuple(Medium(DRAWN + name, "image", None, side, 1) for name in synthetic.HARD)
    return (*pictures, Medium(DRAWN + "pan", "video", None, side, frames, height))
