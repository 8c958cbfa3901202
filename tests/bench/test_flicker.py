import numpy as np
import pytest

from bench.watermark.errors import BenchError
from bench.watermark.flicker import FlickerRow, flicker
from bench.watermark.systems import Trial, load_system


def test_flicker_counts_where_nothing_moves() -> None:
    source = np.full((4, 64, 64, 3), 100, np.uint8)
    source[:, :, 32:] = np.array([0, 50, 100, 150], np.uint8)[:, None, None, None]  # a half that moves
    other = source.copy()
    other[1::2] += 2
    amount, still = flicker(source, other)
    assert amount == pytest.approx(2, abs=0.01)
    assert still == pytest.approx(0.5, abs=0.06)
    assert flicker(source, source)[0] == 0


def test_the_mark_stands_still_where_the_picture_does() -> None:
    picture = np.random.default_rng(0).integers(60, 200, (1, 160, 160, 3), np.uint8)
    source = np.repeat(picture, 3, 0)
    assert flicker(source, load_system("assay").embed(source, Trial(0, 0))) == (0.0, 1.0)


def test_a_single_frame_cannot_flicker() -> None:
    with pytest.raises(BenchError, match="two frames"):
        flicker(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8))
    assert not FlickerRow("x", 0.5, 1.0, 1.0).kept
