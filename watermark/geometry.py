"""Where the canonical frame of the mark lies in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.layout import SHORT_SIDE

Matrix = NDArray[np.floating]


@dataclass(frozen=True)
class Geometry:
    """`canonical_to_pixels` is the 3 x 3 homography from canonical units (short side of the marked original
    64, origin its centre, y down) to pixel centres of the examined picture (the first pixel is at 0, 0).
    """

    canonical_to_pixels: Matrix
    mirrored: bool  # whether the picture was turned over; the matrix contains that already

    @staticmethod
    def of(canonical_to_pixels: Matrix) -> Geometry:
        """The geometry of a homography, which is mirrored if it turns the picture over."""
        return Geometry(canonical_to_pixels, bool(np.linalg.det(canonical_to_pixels[:2, :2]) < 0))

    @property
    def scale(self) -> float:
        """Pixels of the examined picture per canonical unit, at its centre."""
        return float(np.sqrt(abs(np.linalg.det(self.canonical_to_pixels[:2, :2]))))

    @property
    def rotation(self) -> float:
        """Degrees, clockwise as seen, by which the original's vertical axis was turned: -180 to 180."""
        a = self.canonical_to_pixels
        return float(np.degrees(np.arctan2(-a[0, 1], a[1, 1])))


def aligned(height: int, width: int, *, mirrored: bool = False) -> Matrix:
    """Canonical units to pixels for a picture that was at most resized, or mirrored left to right."""
    unit = min(height, width) / SHORT_SIDE
    flip = -1.0 if mirrored else 1.0
    return np.array([[flip * unit, 0, (width - 1) / 2], [0, unit, (height - 1) / 2], [0, 0, 1]])


def project(matrix: Matrix, points: Matrix) -> Matrix:
    """Map points [..., m, 2] as (x, y) through a homography, or [m, 2] through n of them, [n, 3, 3]."""
    mapped = points @ matrix[..., :2].swapaxes(-1, -2) + matrix[..., None, :, 2]
    projected: Matrix = mapped[..., :2] / mapped[..., 2:]
    return projected


def work_scaling(height: int, width: int, work_height: int, work_width: int) -> Matrix:
    """Pixel centres of a picture to those of its scaled copy."""
    sx, sy = work_width / width, work_height / height
    return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
