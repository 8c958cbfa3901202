"""Shared pieces of the bench's tests: a small picture and clip, and a marking system that costs nothing."""

from collections.abc import Iterator

import numpy as np
import pytest

from bench.watermark import synthetic, systems
from bench.watermark.attacks import Frames
from bench.watermark.attacks.base import BOTH
from bench.watermark.systems import Reading, Trial


@pytest.fixture(scope="session")
def picture() -> Frames:
    """One 128x160 scene, read-only: an attack that writes into its input fails."""
    frames = synthetic.scene(128, 160, seed=3)[None]
    frames.setflags(write=False)
    return frames


@pytest.fixture(scope="session")
def clip() -> Frames:
    """Twelve frames of a 128x160 panning scene, read-only."""
    frames = synthetic.pan(12, 128, 160, seed=4)
    frames.setflags(write=False)
    return frames


class CornerMark:
    """Marks by painting the trial into the corner pixel, and reads it back: survives only what keeps it."""

    name = "corner"
    bits = 16
    kinds = BOTH

    def embed(self, frames: Frames, trial: Trial) -> Frames:
        marked = frames.copy()
        marked[:, 0, 0] = (trial.key, trial.message, 77)
        return marked

    def detect(self, frames: Frames, trial: Trial) -> Reading:
        found = bool(np.array_equal(frames[0, 0, 0], (trial.key, trial.message, 77)))
        return Reading(found, -9.0 if found else 0.0, "detected" if found else "none", 0.001)


@pytest.fixture
def corner(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The corner mark under the name `corner`, wherever a system is loaded by name."""
    mark = CornerMark()
    systems.load_system.cache_clear()
    monkeypatch.setattr(
        systems, "_factories", lambda weights: {"corner": lambda: mark, "assay": lambda: mark}
    )
    yield "corner"
    systems.load_system.cache_clear()
