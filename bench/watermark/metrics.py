"""Measures: PSNR and SSIM of a marked picture, binomial tails, and how far off a found geometry is."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.watermark.attacks import Frames, Matrix
from bench.watermark.errors import BenchError

PEAK = 255.0
CANONICAL_SIDE = 64.0
"""Canonical units per short side (docs/spec/watermark.md)."""

Plane = NDArray[np.float32]


def psnr(reference: Frames, other: Frames) -> float:
    """Peak signal-to-noise ratio in dB over all frames and channels; infinite when they are equal."""
    _require_same(reference, other)
    pairs = zip(reference, other, strict=True)
    error = float(np.mean([np.mean((x.astype(np.float32) - y) ** 2) for x, y in pairs]))
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)


def ssim(reference: Frames, other: Frames) -> float:
    """Structural similarity (Wang et al. 2004): Gaussian window, sigma 1.5; mean over channels, frames."""
    _require_same(reference, other)
    pairs = zip(reference, other, strict=True)
    return float(np.mean([_ssim_frame(x.astype(np.float32), y.astype(np.float32)) for x, y in pairs]))


def _ssim_frame(x: Plane, y: Plane) -> float:
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_x, mean_y = _window(x), _window(y)
    var_x, var_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    score = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    score /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(score[5:-5, 5:-5].mean())


def _window(x: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5), np.float32)


def _require_same(reference: Frames, other: Frames) -> None:
    if reference.shape != other.shape:
        raise BenchError(f"cannot compare frames of shapes {reference.shape} and {other.shape}")


def log10_binomial_tail(right: int, total: int) -> float:
    """log10 P(at least `right` of `total` fair coin tosses): what chance gives a system without a code."""
    logs = [math.log(math.comb(total, k)) - total * math.log(2) for k in range(right, total + 1)]
    top = max(logs)
    return min(0.0, (top + math.log(sum(math.exp(value - top) for value in logs))) / math.log(10))


def canonical_to_pixels(height: int, width: int) -> Matrix:
    """Where canonical coordinates (origin in the centre, short side 64) lie in a picture of this size."""
    unit = min(height, width) / CANONICAL_SIDE
    return np.array([[unit, 0, (width - 1) / 2], [0, unit, (height - 1) / 2], [0, 0, 1]])


def geometry_error(found: Matrix, truth: Matrix, height: int, width: int) -> float:
    """Mean distance between two canonical-to-pixel maps, in per cent of the attacked short side.

    Taken over a grid of the attacked picture, pulled back through the true map.
    """
    y, x = np.mgrid[0.1:0.9:5j, 0.1:0.9:5j]
    pixels = np.stack([x.ravel() * (width - 1), y.ravel() * (height - 1), np.ones(x.size)])
    canonical = np.linalg.solve(truth, pixels)
    back = found @ canonical
    distance = np.hypot(*(back[:2] / back[2] - pixels[:2]))
    return float(100 * distance.mean() / min(height, width))
