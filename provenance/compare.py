"""Does an upload show the picture of a record? Asked where a mark was found, to refute marks carried over.

The detector says where the original's frame lies in the upload. Views of the upload are brought into that
frame and compared with the record by correlation of a low band (1 to 7 cycles per short side), contrast taken
out locally: what crops, mirrors, colour changes, overlays and codecs leave alone, and in which the mark
itself has nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from provenance.fingerprint import Fingerprint, Views
from watermark.geometry import Geometry, aligned
from watermark.layout import SHORT_SIDE

Plane = NDArray[np.float32]

MATCH: Final = 0.45
"""Least correlation of a view that shows the recorded picture (docs/spec/provenance.md, 5: how it was
chosen)."""
MIN_SHARE: Final = 0.25
"""Least share of the comparable views that must match: a clip may be cut into another, but not only flash
by."""
MIN_OVERLAP: Final = 0.08
"""Least part of the recorded picture that a view must show to be compared: a crop to 30 % of each side."""
MIN_TEXTURE: Final = 1.2
"""Grey levels rms in the band: below it both pictures are flat there, and correlation would compare noise."""
FLOOR: Final = 3.0
"""Grey levels: contrast below this is not amplified, so that neither noise nor a strengthened mark can
match."""

_FINE, _COARSE = 0.8, 4.0  # sigmas of the band-pass in record pixels


class Match(StrEnum):
    MATCH = "match"
    MISMATCH = "mismatch"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`score`: the best correlation seen, -1 to 1. `share`: matching among `compared` of `views` views."""

    match: Match
    score: float
    share: float
    compared: int
    views: int


def compare(record: Fingerprint, views: Views, geometry: Geometry | None) -> Comparison:
    """Compare an upload with a record; `geometry` None means the picture was at most resized."""
    placed = geometry or aligned(views.height, views.width)
    known = [_band(record.picture(i).astype(np.float32), None) for i in range(len(record.samples))]
    scores = [
        s for i in range(len(views.lumas)) if (s := _score(record, known, views, i, placed)) is not None
    ]
    if not scores:
        return Comparison(Match.NOT_COMPARABLE, 0.0, 0.0, 0, len(views.lumas))
    share = sum(score >= MATCH for score in scores) / len(scores)
    match = Match.MATCH if share >= MIN_SHARE else Match.MISMATCH
    return Comparison(match, max(scores), share, len(scores), len(views.lumas))


def _score(
    record: Fingerprint, known: list[Plane], views: Views, index: int, geometry: Geometry
) -> float | None:
    """The best correlation of one view with any sample, or None where nothing can be compared."""
    warped, mask = _into_record(record, views, index, geometry)
    if mask.mean() < MIN_OVERLAP:
        return None
    band = _band(warped, mask)
    scores = [_correlation(band, sample, mask) for sample in known]
    return max((score for score in scores if score is not None), default=None)


def _into_record(record: Fingerprint, views: Views, index: int, geometry: Geometry) -> tuple[Plane, Plane]:
    """A view resampled on the record's grid, and 1 where the view shows that place, else 0."""
    to_view = _grid_to_view(record, views, geometry)
    picture = views.picture(index).astype(np.float32)
    step = max(0.3, float(np.sqrt(abs(np.linalg.det(to_view[:2, :2])))))  # view pixels per record pixel
    smooth = cv2.GaussianBlur(picture, (0, 0), 0.45 * step) if step > 1 else picture
    size = (record.columns, record.rows)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(smooth, to_view, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpPerspective(np.ones_like(picture), to_view, size, flags=flags)
    return warped, (inside > 0.99).astype(np.float32)


def _grid_to_view(record: Fingerprint, views: Views, geometry: Geometry) -> NDArray[np.float64]:
    """Pixel centres of the record's grid -> canonical units -> upload pixels -> view pixels."""
    units = SHORT_SIDE / min(record.width, record.height)
    ux, uy = record.width * units / record.columns, record.height * units / record.rows
    canonical = np.array(
        [[ux, 0, -ux * (record.columns - 1) / 2], [0, uy, -uy * (record.rows - 1) / 2], [0, 0, 1]]
    )
    sx, sy = views.columns / views.width, views.rows / views.height
    shrunk = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
    matrix: NDArray[np.float64] = shrunk @ geometry.canonical_to_pixels @ canonical
    return matrix


def _band(picture: Plane, mask: Plane | None) -> Plane:
    """Band-passed inside the mask; 0 outside."""
    weight = np.ones_like(picture) if mask is None else mask
    band: Plane = (_blur(picture, weight, _FINE) - _blur(picture, weight, _COARSE)) * weight
    return band


def _blur(picture: Plane, weight: Plane, sigma: float) -> Plane:
    total = cv2.GaussianBlur(picture * weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    share = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    blurred: Plane = total / np.maximum(share, 1e-3)
    return blurred


def _correlation(view: Plane, sample: Plane, mask: Plane) -> float | None:
    """Correlation of two bands where the mask is 1, each with its local contrast taken out; None where one is
    flat."""
    inside = mask > 0
    if min(_rms(view[inside]), _rms(sample[inside])) < MIN_TEXTURE:
        return None
    a, b = _even(view, mask)[inside], _even(sample, mask)[inside]
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _even(band: Plane, mask: Plane) -> Plane:
    local = np.sqrt(_blur(band * band, mask, _COARSE))
    even: Plane = (band / (local + FLOOR)).astype(np.float32)
    return even


def _rms(values: Plane) -> float:
    return float(np.sqrt(np.mean(values * values)))
