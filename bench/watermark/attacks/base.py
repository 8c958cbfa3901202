"""What an attack is: parameters, a name made from them, and a pure function on frames."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from bench.watermark.errors import AttackError

Frames = NDArray[np.uint8]
"""uint8 [F, H, W, 3], sRGB."""

Matrix = NDArray[np.float64]
"""3x3 homography on pixel centres: [x, y, 1] -> [x', y', w']."""

Kind = Literal["image", "video"]
BOTH: frozenset[Kind] = frozenset({"image", "video"})
VIDEO: frozenset[Kind] = frozenset({"video"})


@dataclass(frozen=True)
class Attacked:
    """The attacked frames, and where every pixel of the source went (None: not one homography)."""

    frames: Frames
    motion: Matrix | None


def require_frames(frames: Frames) -> Frames:
    """Return `frames`; raise `AttackError` unless they are uint8 [F >= 1, H, W, 3]."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise AttackError(f"an attack needs uint8 [F, H, W, 3] frames, got {frames.dtype} {frames.shape}")
    return frames


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "x".join(_text(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Attack(ABC):
    """A named, parametrised change of frames. Equal parameters and seed give equal frames."""

    label: ClassVar[str]
    kinds: ClassVar[frozenset[Kind]] = BOTH

    @property
    def name(self) -> str:
        """Label and parameters: unique within a suite, and the key of a result row."""
        values = [getattr(self, field.name) for field in fields(self)]
        return " ".join([self.label, *(_text(value) for value in values)])

    @abstractmethod
    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        """Attack uint8 [F, H, W, 3] frames; random choices come from `rng`."""

    def apply(self, frames: Frames, *, seed: int = 0) -> Frames:
        """Attack `frames` with the random choices of `seed`."""
        return self.run(require_frames(frames), np.random.default_rng(seed)).frames


@dataclass(frozen=True)
class InPlace(Attack):
    """An attack that moves no pixel."""

    @abstractmethod
    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        """Return changed frames of the same height and width."""

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        return Attacked(self.change(frames, rng), np.eye(3))


def per_frame(frames: Frames, function: Callable[[Frames], Frames]) -> Frames:
    """Apply `function` ([H, W, 3] -> [h, w, 3]) to every frame."""
    return np.asarray(np.stack([function(frame) for frame in frames]), np.uint8)


def to_uint8(values: NDArray[np.floating]) -> Frames:
    """Round and clip 0..255 values to uint8."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
