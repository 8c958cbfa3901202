import math

import numpy as np
import pytest
from scipy.stats import binom
from skimage.metrics import structural_similarity

from bench.watermark.attacks import Frames, Noise
from bench.watermark.errors import BenchError
from bench.watermark.metrics import canonical_to_pixels, geometry_error, log10_binomial_tail, psnr, ssim


def test_psnr_of_a_known_difference(picture: Frames) -> None:
    dark = picture // 2
    assert psnr(dark, dark + 1) == pytest.approx(20 * math.log10(255))
    assert psnr(picture, picture) == math.inf
    with pytest.raises(BenchError, match="shapes"):
        psnr(picture, picture[:, 1:])


def test_ssim_agrees_with_scikit_image(picture: Frames) -> None:
    noisy = Noise(0.02).apply(picture)
    expected = structural_similarity(
        picture[0],
        noisy[0],
        channel_axis=2,
        gaussian_weights=True,
        use_sample_covariance=False,
        data_range=255,
    )
    assert ssim(picture, noisy) == pytest.approx(expected, abs=2e-4)
    assert ssim(picture, picture) == pytest.approx(1)


@pytest.mark.parametrize(("right", "total"), [(0, 8), (5, 8), (8, 8), (200, 256), (256, 256)])
def test_binomial_tail(right: int, total: int) -> None:
    assert log10_binomial_tail(right, total) == pytest.approx(
        math.log10(binom.sf(right - 1, total, 0.5)), abs=1e-6
    )


def test_geometry_error_is_a_share_of_the_short_side() -> None:
    truth = canonical_to_pixels(200, 400)
    moved = np.array([[1, 0, 2.0], [0, 1, 0], [0, 0, 1]]) @ truth
    assert geometry_error(truth, truth, 200, 400) == pytest.approx(0, abs=1e-9)
    assert geometry_error(moved, truth, 200, 400) == pytest.approx(1.0)
