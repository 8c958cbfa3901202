"""Attacks on the order, number and timing of frames."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.watermark import synthetic
from bench.watermark.attacks.base import VIDEO, Attack, Attacked, Frames, InPlace, Kind, to_uint8
from bench.watermark.attacks.codec import FPS
from bench.watermark.attacks.pixel import still

Order = NDArray[np.intp]


@dataclass(frozen=True)
class Reorder(InPlace):
    """An attack that only chooses frames."""

    kinds: ClassVar[frozenset[Kind]] = VIDEO

    @abstractmethod
    def order(self, count: int, rng: np.random.Generator) -> Order:
        """Which source frames are shown, in order."""

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return frames[self.order(len(frames), rng)]


@dataclass(frozen=True)
class Drop(Reorder):
    """Remove each frame with `probability`; one always stays."""

    label: ClassVar[str] = "drop"
    probability: float

    def order(self, count: int, rng: np.random.Generator) -> Order:
        kept = np.flatnonzero(rng.random(count) >= self.probability)
        return kept if len(kept) else np.array([0])


@dataclass(frozen=True)
class Swap(Reorder):
    """Exchange each frame with the one after it, with `probability`."""

    label: ClassVar[str] = "swap"
    probability: float

    def order(self, count: int, rng: np.random.Generator) -> Order:
        order = np.arange(count)
        for index in np.flatnonzero(rng.random(count - 1) < self.probability):
            order[[index, index + 1]] = order[[index + 1, index]]
        return order


@dataclass(frozen=True)
class Reverse(Reorder):
    """Last frame first."""

    label: ClassVar[str] = "reverse"

    def order(self, count: int, rng: np.random.Generator) -> Order:
        return np.arange(count)[::-1]


@dataclass(frozen=True)
class Speed(Reorder):
    """Play `factor` times as fast at the same frame rate: frames are skipped or shown again."""

    label: ClassVar[str] = "speed"
    factor: float

    def order(self, count: int, rng: np.random.Generator) -> Order:
        return resampled(count, 1 / self.factor)


@dataclass(frozen=True)
class FrameRate(Reorder):
    """Convert to `through` frames a second and back, by the nearest earlier frame."""

    label: ClassVar[str] = "frame rate"
    through: int = 30

    def order(self, count: int, rng: np.random.Generator) -> Order:
        there = resampled(count, self.through / FPS)
        return there[resampled(len(there), FPS / self.through)]


def resampled(count: int, ratio: float) -> Order:
    """Indices that stretch `count` frames to about `count * ratio`."""
    return np.minimum((np.arange(max(1, round(count * ratio))) / ratio).astype(np.intp), count - 1)


@dataclass(frozen=True)
class Trim(Reorder):
    """Keep one second from the start or the middle of the clip."""

    label: ClassVar[str] = "trim"
    where: str = "first"

    def order(self, count: int, rng: np.random.Generator) -> Order:
        start = 0 if self.where == "first" else max(0, (count - FPS) // 2)
        return np.arange(start, min(count, start + FPS))


@dataclass(frozen=True)
class Average(InPlace):
    """Replace each frame by the mean of `window` frames around it."""

    label: ClassVar[str] = "average"
    kinds: ClassVar[frozenset[Kind]] = VIDEO
    window: int

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        half = self.window // 2
        return np.stack(
            [to_uint8(frames[max(0, i - half) : i + half + 1].mean(0)) for i in range(len(frames))]
        )


@dataclass(frozen=True)
class InsertNoise(InPlace):
    """Insert one frame of uniform noise at a random place."""

    label: ClassVar[str] = "insert noise frame"
    kinds: ClassVar[frozenset[Kind]] = VIDEO

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        noise = rng.integers(0, 256, frames.shape[1:], np.uint8)
        return np.insert(frames, int(rng.integers(0, len(frames) + 1)), noise, 0)


@dataclass(frozen=True)
class Splice(InPlace):
    """Put unmarked foreign footage before the clip, until it is `share` of the whole."""

    label: ClassVar[str] = "splice"
    kinds: ClassVar[frozenset[Kind]] = VIDEO
    share: float

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        count = round(len(frames) * self.share / (1 - self.share))
        foreign = synthetic.pan(count, *frames.shape[1:3], seed=int(rng.integers(1 << 31)))
        return np.concatenate([foreign, frames])


@dataclass(frozen=True)
class OneJpegFrame(Attack):
    """A clip reduced to its middle frame, saved as one JPEG."""

    label: ClassVar[str] = "one jpeg frame"
    kinds: ClassVar[frozenset[Kind]] = VIDEO
    quality: int = 80

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        return Attacked(still(frames[len(frames) // 2], "JPEG", self.quality)[None], np.eye(3))
