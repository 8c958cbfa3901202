"""Where the canonical frame of the mark lies in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.layout import SHORT_SIDE

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Geometry:
    """`canonical_to_pixels` is the 3 x 3 homography from canonical units (short side of the marked original
    64, origin its centre, y down) to pixel centres of the examined picture (the first pixel is at 0, 0).
    `mirrored` says whether it turns the picture over; the matrix contains that already.
    """

    canonical_to_pixels: Matrix
    mirrored: bool

    @property
    def scale(self) -> float:
        """Short sides of the original per short side that the picture would have had uncropped: pixels per
        unit.
        """
        return float(np.sqrt(abs(np.linalg.det(self.canonical_to_pixels[:2, :2]))))

    @property
    def rotation(self) -> float:
        """Degrees, clockwise as seen, of the original's x axis (or its mirror image) in the picture."""
        a = self.canonical_to_pixels
        sign = -1.0 if self.mirrored else 1.0
        return float(np.degrees(np.arctan2(sign * a[1, 0], sign * a[0, 0])))


def aligned(height: int, width: int, *, mirrored: bool = False) -> Geometry:
    """The geometry of a picture that was at most resized, or mirrored left to right."""
    unit = min(height, width) / SHORT_SIDE
    flip = -1.0 if mirrored else 1.0
    matrix = np.array([[flip * unit, 0, (width - 1) / 2], [0, unit, (height - 1) / 2], [0, 0, 1]])
    return Geometry(matrix, mirrored)


def project(matrix: Matrix, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map points [..., 2] as (x, y) through a homography."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    projected: NDArray[np.float64] = mapped[..., :2] / mapped[..., 2:]
    return projected


def work_scaling(height: int, width: int, work_height: int, work_width: int) -> Matrix:
    """Pixel centres of a picture to those of its scaled copy."""
    sx, sy = work_width / width, work_height / height
    return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
