"""Planted defects are found; real pictures and clips are not accused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from generator.errors import QualityError
from generator.quality import QualityRules, check_quality, measure
from watermark import open_media

Frames = NDArray[np.uint8]
SHARED = Path(__file__).parents[3] / "shared" / "data" / "media"


def pan(count: int = 12) -> Frames:
    """A camera that moves over a photograph: a healthy clip."""
    picture = data.astronaut()
    return np.stack([picture[100:356, 4 * index : 4 * index + 256] for index in range(count)])


def black(frames: Frames) -> Frames:
    frames[3:6] = 3
    return frames


def black_tiles(frames: Frames) -> Frames:
    frames[:, :128] = 0
    return frames


def frozen(frames: Frames) -> Frames:
    frames[4:] = frames[4]
    return frames


def flashing(frames: Frames) -> Frames:
    frames[::2] //= 3
    return frames


@pytest.mark.parametrize(
    ("plant", "words"),
    [(black, "black"), (black_tiles, "never written"), (frozen, "repeat"), (flashing, "brightness jumps")],
)
def test_a_planted_defect_is_named(plant: Callable[[Frames], Frames], words: str) -> None:
    with pytest.raises(QualityError, match=words):
        check_quality(plant(pan()), QualityRules())


def test_a_healthy_clip_and_a_healthy_picture_pass() -> None:
    assert check_quality(pan(), QualityRules()).failures(QualityRules()) == ()
    assert check_quality(pan(1), QualityRules()).frozen == 0.0


def test_a_rule_can_be_switched_off() -> None:
    off = QualityRules(max_black=1, max_dead=1, max_frozen=1, max_flash=255)
    assert check_quality(np.zeros((4, 64, 64, 3), np.uint8), off).black == 1.0


@pytest.mark.parametrize("shape", [(0, 64, 64, 3), (2, 64, 64), (2, 0, 64, 3)])
def test_no_pictures_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(QualityError, match="no pictures"):
        measure(np.zeros(shape, np.uint8))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared media are not beside this checkout")
@pytest.mark.parametrize("name", ["wan21.mp4", "seeking.mp4", "car.mp4"])
def test_real_clips_pass(name: str) -> None:
    frames = np.stack(list(islice(open_media(SHARED / name).frames(), 36)))
    report = check_quality(frames, QualityRules())
    assert report.flash < 2.0
