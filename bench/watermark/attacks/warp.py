"""Attacks that move pixels: flips, resizes, crops, rotations, perspective, pictures in pictures."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from bench.watermark import synthetic
from bench.watermark.attacks.base import Attack, Attacked, Frames, Matrix, per_frame
from bench.watermark.errors import AttackError


def scaling(x: float, y: float) -> Matrix:
    """Scaling of the pixel *area* by (x, y): the centre of pixel 0 moves by half the change."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def shift(x: float, y: float) -> Matrix:
    """Translation by (x, y) pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def resized(frames: Frames, height: int, width: int) -> Attacked:
    """Resize all frames: by area when shrinking, bicubic when growing."""
    rows, columns = frames.shape[1:3]
    how = cv2.INTER_AREA if height * width < rows * columns else cv2.INTER_CUBIC
    out = per_frame(frames, lambda frame: np.asarray(cv2.resize(frame, (width, height), interpolation=how)))
    return Attacked(out, scaling(width / columns, height / rows))


@dataclass(frozen=True)
class HorizontalFlip(Attack):
    """Mirror left and right."""

    label: ClassVar[str] = "flip horizontal"

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        return Attacked(
            frames[:, :, ::-1].copy(), np.diag([-1.0, 1, 1]) + shift(frames.shape[2] - 1, 0) - np.eye(3)
        )


@dataclass(frozen=True)
class VerticalFlip(Attack):
    """Mirror top and bottom."""

    label: ClassVar[str] = "flip vertical"

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        return Attacked(
            frames[:, ::-1].copy(), np.diag([1.0, -1, 1]) + shift(0, frames.shape[1] - 1) - np.eye(3)
        )


@dataclass(frozen=True)
class Resize(Attack):
    """Scale both sides by `side`; the size is not restored."""

    label: ClassVar[str] = "resize"
    side: float

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        height, width = frames.shape[1:3]
        return resized(frames, max(1, round(height * self.side)), max(1, round(width * self.side)))


@dataclass(frozen=True)
class LongestSide(Attack):
    """Shrink so that the longer side is at most `pixels`; smaller frames are left alone."""

    label: ClassVar[str] = "longest side"
    pixels: int

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        ratio = self.pixels / max(frames.shape[1:3])
        return Attacked(frames, np.eye(3)) if ratio >= 1 else Resize(ratio).run(frames, rng)


@dataclass(frozen=True)
class Stretch(Attack):
    """Scale the width alone by `ratio`: a wrong aspect."""

    label: ClassVar[str] = "stretch"
    ratio: float

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        return resized(frames, frames.shape[1], max(1, round(frames.shape[2] * self.ratio)))


@dataclass(frozen=True)
class Crop(Attack):
    """Keep a window with `side` of each side, at a random place; the size is not restored."""

    label: ClassVar[str] = "crop"
    side: float

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        if not 0 < self.side <= 1:
            raise AttackError(f"crop keeps a share of the side in (0, 1], got {self.side}")
        height, width = frames.shape[1:3]
        rows, columns = max(1, round(height * self.side)), max(1, round(width * self.side))
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        window = frames[:, top : top + rows, left : left + columns].copy()
        return Attacked(window, shift(-left, -top))


@dataclass(frozen=True)
class CropRestore(Attack):
    """Crop to `side`, then scale back to the size before."""

    label: ClassVar[str] = "crop restored"
    side: float

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        window = Crop(self.side).run(frames, rng)
        back = resized(window.frames, *frames.shape[1:3])
        return Attacked(back.frames, _joined(window.motion, back.motion))


def _joined(first: Matrix | None, second: Matrix | None) -> Matrix | None:
    return None if first is None or second is None else second @ first


@dataclass(frozen=True)
class Warp(Attack):
    """A projective motion into a black frame."""

    @abstractmethod
    def motion(self, height: int, width: int, rng: np.random.Generator) -> tuple[Matrix, int, int]:
        """The homography, and the height and width of the result."""

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        matrix, height, width = self.motion(frames.shape[1], frames.shape[2], rng)
        out = per_frame(
            frames,
            lambda frame: np.asarray(
                cv2.warpPerspective(frame, matrix, (width, height), flags=cv2.INTER_CUBIC)
            ),
        )
        return Attacked(out, matrix)


@dataclass(frozen=True)
class Rotate(Warp):
    """Turn anticlockwise: the multiple of 90 degrees whole, the rest inside the frame with black corners."""

    label: ClassVar[str] = "rotate"
    degrees: float

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        quarters, rest = divmod(self.degrees, 90)
        if rest:
            return super().run(frames, rng)
        height, width = frames.shape[1:3]
        turned = np.ascontiguousarray(np.rot90(frames, int(quarters), (1, 2)))
        return Attacked(turned, quarter_turns(int(quarters), height, width))

    def motion(self, height: int, width: int, rng: np.random.Generator) -> tuple[Matrix, int, int]:
        quarters, rest = divmod(self.degrees, 90)
        whole = quarter_turns(int(quarters), height, width)
        if int(quarters) % 2:
            height, width = width, height
        centre = ((width - 1) / 2, (height - 1) / 2)
        inside = np.vstack([cv2.getRotationMatrix2D(centre, rest, 1), [0, 0, 1]])
        return inside @ whole, height, width


def quarter_turns(count: int, height: int, width: int) -> Matrix:
    """The homography of `count` anticlockwise quarter turns of a height x width picture."""
    matrix = np.eye(3)
    for _ in range(count % 4):
        matrix = np.array([[0, 1, 0], [-1, 0, width - 1], [0, 0, 1.0]]) @ matrix
        height, width = width, height
    return matrix


@dataclass(frozen=True)
class Perspective(Warp):
    """Move each corner inwards by up to `distortion` of half the side, in x and y."""

    label: ClassVar[str] = "perspective"
    distortion: float

    def motion(self, height: int, width: int, rng: np.random.Generator) -> tuple[Matrix, int, int]:
        corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float32)
        inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], np.float32)
        reach = self.distortion / 2 * np.array([width, height], np.float32)
        moved = corners + inwards * reach * rng.random((4, 2), np.float32)
        return np.asarray(cv2.getPerspectiveTransform(corners, moved), np.float64), height, width


@dataclass(frozen=True)
class Collage(Attack):
    """The whole picture, shrunk to `area` of the frame, pasted at a random place on a foreign scene."""

    label: ClassVar[str] = "collage"
    area: float

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        count, height, width = frames.shape[:3]
        small = Resize(self.area**0.5).run(frames, rng)
        rows, columns = small.frames.shape[1:3]
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        out = np.repeat(synthetic.scene(height, width, seed=int(rng.integers(1 << 31)))[None], count, 0)
        out[:, top : top + rows, left : left + columns] = small.frames
        return Attacked(out, _joined(small.motion, shift(left, top)))


@dataclass(frozen=True)
class Inset(Attack):
    """A foreign picture covers `area` of the frame at a random place (picture in picture)."""

    label: ClassVar[str] = "inset"
    area: float

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        height, width = frames.shape[1:3]
        rows, columns = round(height * self.area**0.5), round(width * self.area**0.5)
        top, left = int(rng.integers(0, height - rows + 1)), int(rng.integers(0, width - columns + 1))
        out = frames.copy()
        out[:, top : top + rows, left : left + columns] = synthetic.scene(
            rows, columns, seed=int(rng.integers(1 << 31))
        )
        return Attacked(out, np.eye(3))
