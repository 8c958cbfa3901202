"""Does an upload show the picture of a record? Asked where a mark was found, to refute marks carried over.

The detector says where the original's frame lies in the upload. Views of the upload are brought into that
frame, and small tiles are correlated with the same tiles of the record, in a band of 3 to 13 cycles per short
side. A copy agrees in nearly every tile that is not covered, whatever was done to its colours; another
picture agrees in hardly any. What is constant along a row or a column of a tile is taken out first: many
pictures share a horizon, or a black bar.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from provenance.fingerprint import Fingerprint, Views
from watermark.geometry import Geometry, Matrix, aligned
from watermark.layout import SHORT_SIDE

Plane = NDArray[np.float32]

MATCH_SHARE: Final = 0.25
"""Least share of a view's tiles that agree: two thirds may be covered (docs/spec/provenance.md, 5: error
rates)."""
MISMATCH_SHARE: Final = 0.1
"""Below this share the picture is another one; between the two, nothing is said. Foreign pictures reach
0.02."""
FAINT_SHARE: Final = 0.5
"""Least share where only faint tiles are left to compare."""
MIN_AGREEING: Final = 4
"""Least number of agreeing tiles, however few there are."""
MIN_TILES: Final = 8
"""With fewer tiles that have anything in them, disagreement is no proof that the picture is another."""
TILE_AGREES: Final = 0.65
"""Least correlation of a tile. Tiles of foreign pictures reach it one time in fifty, copies nineteen times in
twenty."""
MIN_VIEWS_SHARE: Final = 0.25
"""Least share of the comparable views that must match: a clip may be cut into another, but not only flash
by."""
MIN_OVERLAP: Final = 0.08
"""Least part of the recorded picture that a view must show to be compared: a crop to 30 % of each side."""
MIN_TEXTURE: Final = 0.7
"""Grey levels rms of a recorded tile: fainter ones a codec may wipe out, so they can confirm and never
refute."""
MIN_FAINT_TEXTURE: Final = 0.35
"""Grey levels rms: below, a tile is rounding noise."""
MIN_FAINT_TILES: Final = 24
"""With so many faint tiles, not one of them agreeing tells: half of a copy's do, even after JPEG 10."""
STRANGE_SHARE: Final = 0.25
"""Share of tiles that show something else, from which on a record without texture is refuted."""
STRANGE_TEXTURE: Final = 1.4
"""Grey levels rms of such a tile in the upload, and at least twice what the record has there."""
ALL_STRANGE_SHARE: Final = 0.6
"""The same where the record is so flat that hardly a tile of it could agree: most of the picture must
differ."""
LEAST_GAIN: Final = 0.2
"""Contrast of an agreeing tile, as a share of the record's. Whoever lifts a mark off several releases lifts a
faint image of them as well, at 0.03 to 0.1; a copy filmed off a screen keeps a half."""
FLOOR: Final = 0.05
"""Grey levels squared, added to both variances: a flat upload agrees with nothing."""

_TILE: Final = 16
"""Lines and columns of a tile; tiles overlap by half."""
_FINE, _COARSE = 0.8, 4.0  # sigmas of the band-pass in record pixels


class Match(StrEnum):
    MATCH = "match"
    MISMATCH = "mismatch"
    NOT_COMPARABLE = "not_comparable"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`score`: share of agreeing tiles in the best view, 0 to 1. `share`: matching among `compared` of
    `views` views."""

    match: Match
    score: float
    share: float
    compared: int
    views: int


@dataclass(frozen=True, slots=True)
class _Agreement:
    """How many tiles could be compared, and how many of them agree: the textured ones, and all but the flat
    ones. `strange` of the `inside` tiles show clearly something where the record is next to flat.
    """

    agreeing: int
    tiles: int
    agreeing_faint: int
    tiles_faint: int
    strange: int
    inside: int

    @property
    def share(self) -> float:
        return self.agreeing / self.tiles if self.tiles else 0.0

    @property
    def match(self) -> Match:
        if self.agreeing >= max(MIN_AGREEING, MATCH_SHARE * self.tiles):
            return Match.MATCH
        if self.tiles >= MIN_TILES:
            return Match.MISMATCH if self.share < MISMATCH_SHARE else Match.NOT_COMPARABLE
        if self.agreeing_faint >= max(MIN_TILES, FAINT_SHARE * self.tiles_faint):
            return Match.MATCH
        least = STRANGE_SHARE if self.tiles_faint >= MIN_FAINT_TILES else ALL_STRANGE_SHARE
        shows_other = self.agreeing_faint == 0 and self.strange >= max(MIN_TILES, least * self.inside)
        return Match.MISMATCH if shows_other else Match.NOT_COMPARABLE


def compare(record: Fingerprint, views: Views, geometry: Geometry | None) -> Comparison:
    """Compare an upload with a record; `geometry` None means the picture was at most resized."""
    placed = aligned(views.height, views.width) if geometry is None else geometry.canonical_to_pixels
    known = [record.picture(index).astype(np.float32) for index in range(len(record.samples))]
    best = [_best(known, *_into_record(record, views, index, placed)) for index in range(len(views.lumas))]
    usable = [agreement for agreement in best if agreement.match is not Match.NOT_COMPARABLE]
    if not usable:
        return Comparison(Match.NOT_COMPARABLE, 0.0, 0.0, 0, len(best))
    share = sum(agreement.match is Match.MATCH for agreement in usable) / len(usable)
    match = Match.MATCH if share >= MIN_VIEWS_SHARE else Match.MISMATCH
    return Comparison(match, max(agreement.share for agreement in usable), share, len(usable), len(best))


def _best(known: list[Plane], view: Plane, mask: Plane) -> _Agreement:
    """The sample that one view agrees with most."""
    if mask.mean() < MIN_OVERLAP:
        return _Agreement(0, 0, 0, 0, 0, 0)
    tiles = _Tiles(view, mask)
    return max(
        (tiles.agreement(sample) for sample in known),
        key=lambda a: (a.match is Match.MATCH, a.share, a.tiles),
    )


def _into_record(record: Fingerprint, views: Views, index: int, placed: Matrix) -> tuple[Plane, Plane]:
    """A view resampled on the record's grid, and 1 where the view shows that place, else 0."""
    to_view = _grid_to_view(record, views, placed)
    picture = views.picture(index).astype(np.float32)
    step = max(0.3, float(np.sqrt(abs(np.linalg.det(to_view[:2, :2])))))  # view pixels per record pixel
    smooth = cv2.GaussianBlur(picture, (0, 0), 0.45 * step) if step > 1 else picture
    size = (record.columns, record.rows)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpPerspective(smooth, to_view, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpPerspective(np.ones_like(picture), to_view, size, flags=flags)
    return warped, (inside > 0.99).astype(np.float32)


def _grid_to_view(record: Fingerprint, views: Views, placed: Matrix) -> Matrix:
    """Pixel centres of the record's grid -> canonical units -> upload pixels -> view pixels."""
    units = SHORT_SIDE / min(record.width, record.height)
    ux, uy = record.width * units / record.columns, record.height * units / record.rows
    canonical = np.array(
        [[ux, 0, -ux * (record.columns - 1) / 2], [0, uy, -uy * (record.rows - 1) / 2], [0, 0, 1]]
    )
    sx, sy = views.columns / views.width, views.rows / views.height
    shrunk = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2], [0, 0, 1]])
    matrix: Matrix = shrunk @ placed @ canonical
    return matrix


class _Tiles:
    """One view, ready to be compared tile by tile with any number of samples."""

    def __init__(self, view: Plane, mask: Plane) -> None:
        self._mask = mask
        self._filled = _sums(mask, _TILE, _TILE)
        self._view = self._detail(view)
        self._view_mean = self._mean(self._view)
        self._view_variance = self._mean(self._view * self._view) - self._view_mean**2

    def agreement(self, sample: Plane) -> _Agreement:
        """Over the tiles of `sample` that have something in them."""
        detail = self._detail(sample)
        mean = self._mean(detail)
        variance = self._mean(detail * detail) - mean**2
        covariance = self._mean(detail * self._view) - mean * self._view_mean
        spread = np.sqrt((np.maximum(self._view_variance, 0) + FLOOR) * (np.maximum(variance, 0) + FLOOR))
        shown_again = covariance >= LEAST_GAIN * variance
        agrees = _on_tiles((covariance / spread >= TILE_AGREES) & shown_again)
        inside = self._filled > 0.6 * _TILE * _TILE
        textured = _on_tiles((variance > MIN_TEXTURE**2) & inside)
        faint = _on_tiles((variance > MIN_FAINT_TEXTURE**2) & inside)
        shown = np.maximum(4 * np.maximum(variance, 0), STRANGE_TEXTURE**2)
        strange = _on_tiles((self._view_variance > shown) & inside) & ~agrees
        counts = (agrees & textured, textured, agrees & faint, faint, strange, _on_tiles(inside))
        return _Agreement(*(int(tiles.sum()) for tiles in counts))

    def _detail(self, picture: Plane) -> Plane:
        """Band-passed inside the mask, without what is constant along a tile's rows or columns; 0 outside."""
        band = (_blur(picture, self._mask, _FINE) - _blur(picture, self._mask, _COARSE)) * self._mask
        rows, columns = self._mean(band, _TILE, 1), self._mean(band, 1, _TILE)
        return np.asarray((band - rows - columns + self._mean(band)) * self._mask, np.float32)

    def _mean(self, plane: Plane, width: int = _TILE, height: int = _TILE) -> Plane:
        """Mean over the part of each window that is inside the mask."""
        inside = np.maximum(_sums(self._mask, width, height), 1e-3)
        return np.asarray(_sums(plane, width, height) / inside, np.float32)


def _sums(plane: Plane, width: int, height: int) -> Plane:
    """Sums over windows centred on every pixel; nothing outside the picture."""
    sums: Plane = cv2.boxFilter(plane, -1, (width, height), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return sums


def _on_tiles(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The values at the centres of tiles that overlap by half."""
    return plane[_TILE // 2 :: _TILE // 2, _TILE // 2 :: _TILE // 2]


def _blur(picture: Plane, weight: Plane, sigma: float) -> Plane:
    """Gaussian blur over the part that is inside the mask."""
    total = cv2.GaussianBlur(picture * weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    share = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    blurred: Plane = total / np.maximum(share, 1e-3)
    return blurred
