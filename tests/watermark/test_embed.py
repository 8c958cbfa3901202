from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import structural_similarity

from tests.watermark.conftest import Frame, embed, psnr
from watermark import EmbeddingError, Mark, Strength
from watermark.layout import LUMA
from watermark.pattern import render


def test_the_mark_is_close_to_the_original(
    photo: Frame, marked_photo: Frame, clip: Frame, marked_clip: Frame
) -> None:
    assert psnr(photo, marked_photo) >= 42
    assert structural_similarity(photo, marked_photo, channel_axis=2) >= 0.99
    assert min(psnr(a, b) for a, b in zip(clip, marked_clip, strict=True)) >= 44


def test_small_smooth_pictures_keep_their_structure(mark: Mark) -> None:
    """Chips of few pixels weigh in the windows in which structure is compared; without its own limit this
    picture would come to 0.977.
    """
    across = np.linspace(60, 200, 200)[None, :, None] * np.array([0.9, 0.7, 0.6])
    picture = np.broadcast_to(across, (200, 200, 3)).round().astype(np.uint8)
    assert structural_similarity(picture, embed(picture, mark), channel_axis=2) >= 0.99


def test_flat_areas_get_an_absolute_amplitude_beside_strong_texture(mark: Mark) -> None:
    """Nothing leaks from noise on the left into the grey on the right, from 24 pixels off the border."""
    picture = np.full((512, 512, 3), 128, np.uint8)
    picture[:, :256] = np.random.default_rng(0).integers(0, 256, (512, 256, 1))
    change = mark.apply(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)[0] * 255 - 128
    flat = change[:, :, 280:]
    luma = 0.299 * flat[0] + 0.587 * flat[1] + 0.114 * flat[2]
    blue = (flat[2] - luma) / 1.772
    assert luma.std() <= 0.45
    assert blue.std() <= 1.1


def test_black_and_white_stay_black_and_white(mark: Mark) -> None:
    for value in (0.0, 1.0):
        plain = torch.full((1, 3, 256, 256), value)
        assert torch.equal(mark.apply(plain), plain)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_dtype_and_shape_are_kept(mark: Mark, dtype: torch.dtype) -> None:
    frames = torch.rand(2, 3, 200, 301, dtype=torch.float32).to(dtype)
    before = frames.clone()
    marked = mark.apply(frames)
    assert marked.dtype == dtype
    assert marked.shape == frames.shape
    assert torch.equal(frames, before)
    assert 0 <= float(marked.min()) <= float(marked.max()) <= 1


def test_chunks_do_not_show(mark: Mark) -> None:
    frames = torch.rand(11, 3, 160, 160)
    whole = mark.apply(frames)
    assert torch.allclose(whole[9:], mark.apply(frames[9:]), atol=1e-6)


@pytest.mark.parametrize("size", [(160, 160), (333, 501), (721, 643)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_place_is_the_same(mark: Mark, size: tuple[int, int], dtype: torch.dtype) -> None:
    frames = torch.rand(2, 3, *size).to(dtype)
    marked = mark.apply(frames)
    assert torch.equal(mark.apply(frames, in_place=True), marked)
    assert torch.equal(frames, marked)


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        (torch.zeros(0, 3, 256, 256), "no frames"),
        (torch.zeros(3, 256, 256), "float"),
        (torch.zeros(1, 1, 256, 256), "float"),
        (torch.zeros(1, 3, 256, 256, dtype=torch.uint8), "float"),
        (torch.zeros(1, 3, 64, 256), "short side"),
        (torch.zeros(1, 3, 128, 512), "3:1"),
        (torch.full((1, 3, 256, 256), torch.nan), "NaN"),
    ],
)
def test_what_cannot_be_marked_is_refused(mark: Mark, frames: torch.Tensor, reason: str) -> None:
    with pytest.raises(EmbeddingError, match=reason):
        mark.apply(frames)


def test_pattern_has_unit_power_and_follows_the_picture(mark: Mark) -> None:
    small = render(mark.key, mark.media_id, 512, 512, 1)
    for plane in small:
        assert plane.std() == pytest.approx(1, abs=0.05)
    large = render(mark.key, mark.media_id, 1024, 1024, 2)
    assert np.abs(large[0] - small[0]).max() < 0.02
    assert LUMA.per_short_side == 96


def test_strength_is_a_choice(ring_mark: Mark) -> None:
    picture = data.coffee()
    assert psnr(picture, embed(picture, ring_mark)) >= 47


@pytest.fixture
def ring_mark(mark: Mark) -> Mark:
    return Mark(mark.key, mark.media_id, Strength(psnr_floor=47.0))


def test_smooth_places_get_less_tint_than_grain(mark: Mark) -> None:
    """On a clear gradient half the chroma of flat areas with grain: tints show where nothing else does."""
    ramp = torch.linspace(0.3, 0.7, 512).expand(1, 3, 512, 512)
    grain = (ramp + 0.02 * torch.randn(1, 1, 512, 512, generator=torch.Generator().manual_seed(1))).clamp(
        0, 1
    )
    smooth, rough = (_blue_change(mark, picture) for picture in (ramp, grain))
    assert smooth <= 0.65
    assert rough >= 1.4 * smooth


def _blue_change(mark: Mark, picture: torch.Tensor) -> float:
    change = (mark.apply(picture, clip=False) - picture)[0] * 255
    luma = 0.299 * change[0] + 0.587 * change[1] + 0.114 * change[2]
    return float(((change[2] - luma) / 1.772)[64:-64, 64:-64].std())


def test_texture_takes_what_a_calm_picture_leaves(mark: Mark) -> None:
    """A textured patch in a grey picture is marked more strongly than the same patch in a busy one."""
    noise = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(2)) * 0.3 + 0.35
    calm = torch.full_like(noise, 128 / 255)
    calm[..., :256, :256] = noise[..., :256, :256]
    change = [(mark.apply(x, clip=True) - x)[..., 40:200, 40:200].std() for x in (calm, noise)]
    assert change[0] > 1.3 * change[1]
    assert psnr(_bytes(calm), _bytes(mark.apply(calm, clip=True))) >= 44


def _bytes(frames: torch.Tensor) -> Frame:
    picture: Frame = (frames[0] * 255).round().byte().permute(1, 2, 0).numpy()
    return picture
