"""Several attacks in a row: combinations, messengers, and a camera in front of a screen."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.watermark.attacks.base import BOTH, Attack, Attacked, Frames, Kind
from bench.watermark.attacks.codec import Reencode
from bench.watermark.attacks.pixel import Blur, Brightness, Gamma, Jpeg, Moire, Noise
from bench.watermark.attacks.temporal import Drop
from bench.watermark.attacks.warp import Crop, CropRestore, LongestSide, Perspective, Resize


@dataclass(frozen=True)
class Sequence(Attack):
    """Attacks applied one after another, under one title."""

    label: ClassVar[str] = ""
    title: str
    steps: tuple[Attack, ...]

    @property
    def name(self) -> str:
        return self.title

    def run(self, frames: Frames, rng: np.random.Generator) -> Attacked:
        motion: np.ndarray | None = np.eye(3)
        for step in self.steps:
            attacked = step.run(frames, rng)
            frames = attacked.frames
            motion = None if motion is None or attacked.motion is None else attacked.motion @ motion
        return Attacked(frames, motion)


def kinds_of(attack: Attack) -> frozenset[Kind]:
    """The media an attack makes sense on: for a sequence, what all of its steps allow."""
    if isinstance(attack, Sequence):
        return frozenset.intersection(BOTH, *(kinds_of(step) for step in attack.steps))
    return attack.kinds


def combination(codec: Attack, crop: float = 0.71, brightness: float = 0.5) -> Sequence:
    """Codec, crop and brightness, the combination of the Video Seal and OmniSeal suites."""
    title = f"{codec.name} + crop {crop:g} + brightness {brightness:g}"
    return Sequence(title, (codec, Crop(crop), Brightness(brightness)))


SCREEN = (Perspective(0.1), Gamma(0.9), Moire(0.03), Blur(3), Noise(0.02))
"""A hand-held camera in front of a screen: keystone, tone curve, pixel grid, focus, sensor."""

SCREEN_CAPTURE = Sequence("screen capture", (*SCREEN, Jpeg(75)))
SCREEN_RECORDING = Sequence("screen recording", (*SCREEN, Resize(0.5), Reencode("h264", 30)))
MESSENGER = Sequence("messenger", (LongestSide(848), Reencode("h264", 32)))
DOUBLE = Sequence("h264 crf 28 then 32", (Reencode("h264", 28), Reencode("h264", 32)))
DROP_CROP = Sequence("drop 0.5 + crop 0.8", (Drop(0.5), Crop(0.8)))
STILL_COMBINATION = Sequence(
    "crop 0.7 restored + brightness 1.1 + h264 crf 32",
    (CropRestore(0.7), Brightness(1.1), Reencode("h264", 32)),
)
