"""Whitening a map where it stands: the noise of textures and codecs differs in spectrum from place to place.

The map is cut into overlapping windows, each Fourier coefficient is weighted by what its neighbours at the
same frequency hold, and none may outweigh them. Nothing here knows a key.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

_WINDOW = 16  # samples: two or three periods of the middle of the luma band
_HOP = _WINDOW // 2
_EXPONENT = 0.5  # of the noise power: 1 would be right, were it known exactly (measured)
_LIMIT = 2.0  # noise deviations
_FLOOR = 1e-6  # of the mean power: a window in which nothing is left says nothing
Plane = NDArray[np.float32]


def locally_whitened(plane: Plane) -> Plane:
    """`plane`, float32 [h, w], with its local spectra evened out, at unit mean power; 0 if it was 0."""
    height, width = plane.shape
    windows = _windows(plane)
    spectra = fft.rfft2(windows)
    power = np.square(spectra.real) + np.square(spectra.imag)
    around = _neighbours(power)
    around += _FLOOR * float(around.mean()) + 1e-20
    limit = np.minimum(1, _LIMIT * np.sqrt(around / (power + 1e-20)))
    whitened = fft.irfft2(spectra * (limit * around**-_EXPONENT), (_WINDOW, _WINDOW)).astype(np.float32)
    summed = _overlap_add(whitened * _taper())[_WINDOW : _WINDOW + height, _WINDOW : _WINDOW + width]
    scale = float(np.sqrt(np.mean(np.square(summed))))
    scaled: Plane = summed / np.float32(scale) if scale > 0 else summed
    return scaled


def _taper() -> Plane:
    """A square-root Hann window in both directions: its squares add up to 1 at half a window's distance."""
    line = np.sin(np.pi * (np.arange(_WINDOW) + 0.5) / _WINDOW)
    return np.outer(line, line).astype(np.float32)


def _windows(plane: Plane) -> Plane:
    """Tapered windows over the plane and a reflected margin: float32 [rows, columns, 16, 16]."""
    after = [_WINDOW + -size % _HOP for size in plane.shape]
    padded = cv2.copyMakeBorder(plane, _WINDOW, after[0], _WINDOW, after[1], cv2.BORDER_REFLECT_101)
    views = np.lib.stride_tricks.sliding_window_view(padded, (_WINDOW, _WINDOW))[::_HOP, ::_HOP]
    windows: Plane = views * _taper()
    return windows


def _neighbours(power: Plane) -> Plane:
    """Mean over 3 x 3 windows of each frequency."""
    rows, columns, *bins = power.shape
    flat = np.ascontiguousarray(power.reshape(rows, columns, -1))
    mean = np.empty_like(flat)
    for low in range(0, flat.shape[-1], 4):  # OpenCV filters four channels at once
        block = np.ascontiguousarray(flat[..., low : low + 4])
        mean[..., low : low + 4] = cv2.blur(block, (3, 3), borderType=cv2.BORDER_REFLECT_101)
    return mean.reshape(rows, columns, *bins)


def _overlap_add(windows: Plane) -> Plane:
    """Windows at every half window, added up: float32 [8 rows + 8, 8 columns + 8]."""
    rows, columns = windows.shape[:2]
    quarters = windows.reshape(rows, columns, 2, _HOP, 2, _HOP)
    total = np.zeros((rows + 1, columns + 1, _HOP, _HOP), np.float32)
    for down in (0, 1):
        for across in (0, 1):
            total[down : rows + down, across : columns + across] += quarters[:, :, down, :, across]
    return total.transpose(0, 2, 1, 3).reshape((rows + 1) * _HOP, (columns + 1) * _HOP)
