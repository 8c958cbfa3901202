"""Broken clips, made from good ones. Each takes and gives uint8 [F, H, W, 3]."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Frames = NDArray[np.uint8]
GRAIN: Final = 1.0
"""Standard deviation, grey levels, of the noise on top of posterized frames: the mark's, more or less."""


def black(frames: Frames) -> Frames:
    """A quarter of the frames nearly black."""
    made = frames.copy()
    made[: max(1, len(made) // 4)] = 3
    return made


def dead_tiles(frames: Frames) -> Frames:
    """The upper half never written."""
    made = frames.copy()
    made[:, : made.shape[1] // 2] = 0
    return made


def frozen(frames: Frames) -> Frames:
    """Two thirds of the clip stand still."""
    made = frames.copy()
    made[len(made) // 3 :] = made[len(made) // 3]
    return made


def flashing(frames: Frames) -> Frames:
    """Every other frame at a third of its brightness."""
    made = frames.copy()
    made[::2] //= 3
    return made


def flickering_corner(frames: Frames) -> Frames:
    """A quarter of the picture brighter by 10 grey levels in every other frame."""
    made = frames.astype(np.int16)
    made[::2, : made.shape[1] // 2, : made.shape[2] // 2] += 10
    return made.clip(0, 255).astype(np.uint8)


def blocks(frames: Frames) -> Frames:
    """Every frame through JPEG at quality 3."""

    def one(frame: Frames) -> Frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=3)
        return np.asarray(Image.open(buffer))

    return np.stack([one(frame) for frame in frames])


def bands(frames: Frames) -> Frames:
    """Every channel in steps of 24 grey levels, with grain."""
    noise = np.random.default_rng(0).normal(0, GRAIN, frames.shape)
    stepped: Frames = (np.round(frames / 24.0) * 24 + noise).clip(0, 255).round().astype(np.uint8)
    return stepped


PLANTS: Final[Mapping[str, Callable[[Frames], Frames]]] = {
    "black": black,
    "dead tiles": dead_tiles,
    "frozen": frozen,
    "flashing": flashing,
    "flicker": flickering_corner,
    "blocks": blocks,
    "bands": bands,
}
