"""Planted defects are found; real pictures and clips are not accused."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from bench.quality.planted import PLANTS
from generator.defects import banding, blockiness, flicker
from generator.errors import QualityError
from generator.quality import QualityRules, check_quality, measure
from generator.sample import to_bytes
from generator.tiny.render import Grid, render
from generator.tiny.scene import draw_scene
from watermark import open_media

Frames = NDArray[np.uint8]
SHARED = Path(__file__).parents[3] / "shared" / "data" / "media"


def pan(count: int = 12) -> Frames:
    """A camera that moves over a photograph: a healthy clip."""
    picture = data.astronaut()
    return np.stack([picture[100:356, 4 * index : 4 * index + 256] for index in range(count)])


WORDS = {
    "black": "black",
    "dead tiles": "never written",
    "frozen": "stands still",
    "flashing": "brightness jumps",
    "flicker": "flickers",
    "blocks": "grid of blocks",
    "bands": "rise in steps",
}


def scene(count: int = 5) -> Frames:
    """A drawn landscape with a sky: even gradients, no photograph."""
    return _drawn(count).copy()


@cache
def _drawn(count: int) -> Frames:
    drawn = draw_scene(np.random.default_rng(3))
    clip = render([drawn], torch.linspace(0, 1, count), Grid.full(256, 384))
    return to_bytes(clip[0])


@pytest.mark.parametrize(("name", "words"), WORDS.items())
def test_a_planted_defect_is_named(name: str, words: str) -> None:
    with pytest.raises(QualityError, match=words):
        check_quality(PLANTS[name](scene()), QualityRules())


def test_slow_clouds_are_no_standstill_and_a_changing_mark_hides_none() -> None:
    slow = draw_scene(np.random.default_rng(5))
    clip = to_bytes(render([slow], torch.linspace(0, 1, 49), Grid.full(120, 208))[0])
    assert float(np.abs(np.diff(clip.astype(int), axis=0)).mean()) < 0.1
    assert measure(clip).frozen == 0.0
    still = np.repeat(clip[:1], 48, axis=0)
    for second in range(4):
        still[12 * second : 12 * (second + 1), :, :, second % 3] ^= 1
    assert measure(still).frozen == 44 / 47


def test_every_plant_is_tested() -> None:
    assert set(WORDS) == set(PLANTS)


@pytest.mark.parametrize("period", [8, 16, 32])
def test_a_grid_is_found_at_every_size_and_offset(period: int) -> None:
    luma = data.camera().astype(np.float32)
    assert blockiness(luma) < 1.2
    lines = (np.arange(512) + 3) // period % 2 * 20.0
    assert blockiness(luma + np.add.outer(lines, lines).astype(np.float32)) > 1.9


def test_an_edge_is_no_grid_and_a_fade_is_no_flicker() -> None:
    edge = np.zeros((256, 256), np.float32)
    edge[:, 128:] = 200
    assert blockiness(edge) == 1.0
    assert flicker(np.linspace(0, 255, 16, dtype=np.float32)[:, None]) < 0.01
    assert flicker(np.array([[0, 5], [0, 25], [0, 5]], np.float32)) == 40.0
    assert flicker(np.zeros((2, 4), np.float32)) == 0.0


def test_an_even_gradient_has_no_bands() -> None:
    ramp = np.tile(np.linspace(20, 220, 1024, dtype=np.float32), (256, 1))
    assert banding(ramp) == 0.0
    assert banding((np.round(ramp / 24) * 24).astype(np.float32)) > 0.9
    assert banding(np.full((64, 64), 90, np.float32)) == 0.0


def test_a_healthy_clip_and_a_healthy_picture_pass() -> None:
    assert check_quality(pan(), QualityRules()).failures(QualityRules()) == ()
    assert check_quality(pan(1), QualityRules()).frozen == 0.0


def test_a_rule_can_be_switched_off() -> None:
    off = QualityRules(max_black=1, max_dead=1, max_frozen=1)
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
    assert report.blocks < 1.5
    assert report.bands == 0.0
