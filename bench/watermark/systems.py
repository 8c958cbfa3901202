"""Marking systems behind one interface: embed a trial's message, read it back blind."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from bench.watermark.attacks import Frames, Kind, Matrix
from bench.watermark.attacks.base import BOTH, to_uint8
from bench.watermark.errors import UnavailableError
from watermark import Detector, KeyRing, Mark, MediaId

DETECTION_LOG10_P = -6.0
"""A message counts as recovered only with a false-positive bound of one in a million or better."""


@dataclass(frozen=True, order=True)
class Trial:
    """Which key and which message, by number; the secrets are derived from the numbers."""

    key: int
    message: int


@dataclass(frozen=True)
class Reading:
    """What a detector said, and whether it was the truth."""

    recovered: bool
    log10_p: float
    band: str
    seconds: float
    bit_accuracy: float | None = None
    geometry: Matrix | None = None


class System(Protocol):
    """A marking system at its own settings."""

    name: str
    bits: int
    kinds: frozenset[Kind]

    def embed(self, frames: Frames, trial: Trial) -> Frames:
        """Marked copy of uint8 [F, H, W, 3] frames."""

    def detect(self, frames: Frames, trial: Trial) -> Reading:
        """Read the trial's message from frames without any other hint."""


def secret(purpose: str, number: int) -> bytes:
    """32 bytes that depend on the purpose and number alone, so that a run can be repeated."""
    return hashlib.sha256(f"assay bench {purpose} {number}".encode()).digest()


def ring_of(key: int) -> KeyRing:
    """Key ring number `key`; the detector searches all of its sub-keys."""
    return KeyRing.derive(secret("master", key), deployment="bench")


def media_id_of(message: int) -> MediaId:
    """Media id number `message`, drawn as the product draws ids."""
    return MediaId.draw(lambda count: secret("media id", message)[:count])


def to_float(frames: Frames) -> torch.Tensor:
    """uint8 [F, H, W, 3] -> float32 [F, 3, H, W] in [0, 1]."""
    return torch.tensor(frames).permute(0, 3, 1, 2).float() / 255


def to_frames(tensor: torch.Tensor) -> Frames:
    """float [F, 3, H, W] in [0, 1] -> uint8 [F, H, W, 3], rounded."""
    return to_uint8(tensor.permute(0, 2, 3, 1).numpy() * 255)


class Assay:
    """The mark of this repository at its default strength, applied to finished frames."""

    name = "assay"
    bits = 64
    kinds = BOTH

    def embed(self, frames: Frames, trial: Trial) -> Frames:
        ring = ring_of(trial.key)
        mark = Mark(ring.subkey((7 * trial.message) % ring.subkeys), media_id_of(trial.message))
        return to_frames(mark.apply(to_float(frames)))

    def detect(self, frames: Frames, trial: Trial) -> Reading:
        detector = _detector(trial.key)
        start = time.perf_counter()
        found = detector.detect(frames)
        seconds = time.perf_counter() - start
        right = found.media_id == media_id_of(trial.message)
        geometry = (
            None if found.geometry is None else np.asarray(found.geometry.canonical_to_pixels, np.float64)
        )
        recovered = right and bool(found.log10_p <= DETECTION_LOG10_P)
        return Reading(recovered, float(found.log10_p), str(found.band.value), seconds, geometry=geometry)


@lru_cache(8)
def _detector(key: int) -> Detector:
    return Detector([ring_of(key)])


def _factories(weights: Path | None) -> dict[str, Callable[[], System]]:
    from bench.watermark import peers

    return {"assay": Assay, **peers.factories(weights)}


def system_names() -> tuple[str, ...]:
    """Names that `load_system` knows."""
    return tuple(_factories(None))


@lru_cache(8)
def load_system(name: str, weights: Path | None = None) -> System:
    """The system called `name`. Raises `UnavailableError` with the remedy when it is not installed."""
    factories = _factories(weights)
    if name not in factories:
        raise UnavailableError(f"there is no system {name!r}; known are {', '.join(factories)}")
    return factories[name]()


def finite(log10_p: float) -> float:
    """JSON has no infinity: a bound of 0 is written as the smallest power worth telling apart."""
    return log10_p if math.isfinite(log10_p) else -9999.0
