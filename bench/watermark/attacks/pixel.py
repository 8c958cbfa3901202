"""Attacks on values: colour, filters, noise, still-picture codecs, things drawn on top."""

import io
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.watermark.attacks.base import Frames, InPlace, per_frame, to_uint8

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 luma weights, those of JPEG and of torchvision's grayscale."""


def luma(frames: Frames) -> NDArray[np.float32]:
    """BT.601 luma of uint8 [..., 3] as float32 [...], 0..255."""
    return frames.astype(np.float32) @ LUMA


@dataclass(frozen=True)
class Identity(InPlace):
    """Nothing: the marked frames as eight-bit pixels."""

    label: ClassVar[str] = "identity"

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return frames


@dataclass(frozen=True)
class Brightness(InPlace):
    """Multiply every value by `factor` and clip."""

    label: ClassVar[str] = "brightness"
    factor: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return to_uint8(frames.astype(np.float32) * self.factor)


@dataclass(frozen=True)
class Contrast(InPlace):
    """Blend with the mean luma of each frame: 0 is flat grey, 1 the frame."""

    label: ClassVar[str] = "contrast"
    factor: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        mean = luma(frames).mean((1, 2))[:, None, None, None]
        return to_uint8(mean + self.factor * (frames - mean))


@dataclass(frozen=True)
class Saturation(InPlace):
    """Blend with the frame's own luma: 0 is grey, 1 the frame."""

    label: ClassVar[str] = "saturation"
    factor: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        grey = luma(frames)[..., None]
        return to_uint8(grey + self.factor * (frames - grey))


@dataclass(frozen=True)
class Hue(InPlace):
    """Turn the HSV hue by `turn` of the full circle (-.5 .. .5)."""

    label: ClassVar[str] = "hue"
    turn: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return per_frame(frames, self._turn)

    def _turn(self, frame: Frames) -> Frames:
        hsv = cv2.cvtColor(frame.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + 360 * self.turn) % 360
        return to_uint8(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255)


@dataclass(frozen=True)
class Gamma(InPlace):
    """Raise values in [0, 1] to the power `exponent`."""

    label: ClassVar[str] = "gamma"
    exponent: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        table = to_uint8(255 * (np.arange(256) / 255) ** self.exponent)
        return table[frames]


@dataclass(frozen=True)
class Grayscale(InPlace):
    """Luma alone, in three equal channels."""

    label: ClassVar[str] = "grayscale"

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return np.repeat(to_uint8(luma(frames))[..., None], 3, -1)


@dataclass(frozen=True)
class Jpeg(InPlace):
    """JPEG with 4:2:0 chroma at `quality` (libjpeg scale)."""

    label: ClassVar[str] = "jpeg"
    quality: int

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return per_frame(frames, lambda frame: still(frame, "JPEG", self.quality))


@dataclass(frozen=True)
class Webp(InPlace):
    """Lossy WebP at `quality`."""

    label: ClassVar[str] = "webp"
    quality: int

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return per_frame(frames, lambda frame: still(frame, "WEBP", self.quality))


def still(frame: Frames, codec: str, quality: int) -> Frames:
    """Encode [H, W, 3] with a Pillow codec and decode it again."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, codec, quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


@dataclass(frozen=True)
class Blur(InPlace):
    """Gaussian blur of odd `kernel` size; sigma = 0.3 ((k - 1) / 2 - 1) + 0.8, as OpenCV derives it."""

    label: ClassVar[str] = "blur k"
    kernel: int

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return per_frame(frames, lambda frame: _gauss(frame, self.kernel, 0))


@dataclass(frozen=True)
class SigmaBlur(InPlace):
    """Gaussian blur of `sigma` pixels over an untruncated kernel."""

    label: ClassVar[str] = "blur sigma"
    sigma: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return per_frame(frames, lambda frame: _gauss(frame, 0, self.sigma))


def _gauss(frame: Frames, kernel: int, sigma: float) -> Frames:
    return np.asarray(cv2.GaussianBlur(frame, (kernel, kernel), sigma), np.uint8)


@dataclass(frozen=True)
class Median(InPlace):
    """Median filter of odd `kernel` size on each channel."""

    label: ClassVar[str] = "median"
    kernel: int

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return per_frame(frames, lambda frame: np.asarray(cv2.medianBlur(frame, self.kernel), np.uint8))


@dataclass(frozen=True)
class Sharpen(InPlace):
    """Blend away from a 3x3 smoothing (centre 5, others 1, over 13): 1 is the frame, 2 doubles detail."""

    label: ClassVar[str] = "sharpen"
    factor: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        kernel = np.ones((3, 3), np.float32) / 13
        kernel[1, 1] = 5 / 13
        smooth = np.stack([cv2.filter2D(frame.astype(np.float32), -1, kernel) for frame in frames])
        return to_uint8(smooth + self.factor * (frames - smooth))


@dataclass(frozen=True)
class Noise(InPlace):
    """Gaussian noise, independent per value; `sigma` on the [0, 1] scale."""

    label: ClassVar[str] = "noise"
    sigma: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        noise = rng.standard_normal(frames.shape, np.float32)
        return to_uint8(frames + 255 * self.sigma * noise)


@dataclass(frozen=True)
class SaltPepper(InPlace):
    """Set a share of the pixels to black or white, half each."""

    label: ClassVar[str] = "salt pepper"
    share: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        draw = rng.random(frames.shape[:3])
        out = frames.copy()
        out[draw < self.share] = 255
        out[draw < self.share / 2] = 0
        return out


@dataclass(frozen=True)
class TextOverlay(InPlace):
    """Two lines of opaque white text with a black edge, each `height` of the picture's height."""

    label: ClassVar[str] = "text overlay"
    height: float = 0.1

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return per_frame(frames, self._write)

    def _write(self, frame: Frames) -> Frames:
        out = frame.copy()
        rows, scale = frame.shape[0], self.height * frame.shape[0] / 22  # Hershey capitals are 22 units high
        thick = max(1, round(scale * 2))
        for share in (0.15, 0.85):
            spot = (frame.shape[1] // 20, int(share * rows + self.height * rows / 2))
            for colour, width in (((0, 0, 0), thick * 3), ((255, 255, 255), thick)):
                cv2.putText(out, "BREAKING NEWS 24", spot, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width)
        return out


@dataclass(frozen=True)
class Erase(InPlace):
    """Grey out one rectangle of `area` of the picture, the same in every frame."""

    label: ClassVar[str] = "erase"
    area: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        height, width = frames.shape[1:3]
        rows, columns = round(height * self.area**0.5), round(width * self.area**0.5)
        top, left = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
        out = frames.copy()
        out[:, top : top + rows, left : left + columns] = 128
        return out


@dataclass(frozen=True)
class Moire(InPlace):
    """A screen's pixel grid beating with the camera's: two crossed luminance waves of `strength`."""

    label: ClassVar[str] = "moire"
    strength: float
    period: float = 7.3

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        y, x = np.mgrid[: frames.shape[1], : frames.shape[2]].astype(np.float32)
        phase = rng.random(2) * 2 * np.pi
        waves = np.sin(2 * np.pi * (x + 0.1 * y) / self.period + phase[0])
        waves += np.sin(2 * np.pi * (y - 0.1 * x) / self.period + phase[1])
        return to_uint8(frames * (1 + self.strength / 2 * waves)[None, ..., None])
