"""Evidence for one mark by block and cell, and the part of a medium that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.geometry import Matrix, project
from watermark.layout import CHANNELS, TORUS
from watermark.soft_bits import ChipValues

CELLS = 16  # along each side of the picture
_MOST_DOUBT, _LEAST_DOUBT = 1.0, 0.2  # deviations that a cell or block must show to count for the mark
_CERTAIN = 4.0  # deviations from which more does not count more
_LEAST_HOLE = 9
Range = tuple[int, int]
"""Blocks from the first up to, not including, the second."""
Cells = tuple[int, int, int, int]
"""Top, left, bottom and right cell, the last two not included."""
Real = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """`total` is the sum over chips of value times expected sign, `power` the sum of squared values: float64
    [CELLS, CELLS], or [blocks, CELLS, CELLS]. Without the mark, total / sqrt(power) has unit deviation.
    """

    total: Real
    power: Real

    @staticmethod
    def of(
        values: Sequence[ChipValues],
        signs: Sequence[NDArray[np.float32]],
        canonical_to_pixels: Matrix,
        height: int,
        width: int,
    ) -> Evidence:
        """Evidence of one picture in the cells in which its chips lie."""
        total, power = np.zeros(CELLS**2), np.zeros(CELLS**2)
        for channel, seen, expected in zip(CHANNELS, values, signs, strict=True):
            row, column = np.divmod(seen.places, channel.chips)
            centres = (np.stack([column, row], axis=-1) + 0.5) * channel.spacing - TORUS / 2
            at = (project(canonical_to_pixels, centres) + 0.5) * (CELLS / np.array([width, height]))
            column, row = np.clip(at.astype(np.int64), 0, CELLS - 1).T
            cell = row * CELLS + column
            total += np.bincount(cell, seen.values * expected[seen.places], CELLS**2)
            power += np.bincount(cell, seen.values.astype(np.float64) ** 2, CELLS**2)
        return Evidence(total.reshape(CELLS, CELLS), power.reshape(CELLS, CELLS))

    @staticmethod
    def stack(blocks: Sequence[Evidence]) -> Evidence:
        """Evidence of several blocks, each brought to the same power, so that none outweighs the others."""
        scales = [max(float(block.power.sum()), 1e-30) for block in blocks]
        return Evidence(
            np.stack([block.total / scale**0.5 for block, scale in zip(blocks, scales, strict=True)]),
            np.stack([block.power / scale for block, scale in zip(blocks, scales, strict=True)]),
        )

    def within(self, cells: Cells) -> float:
        """The normalised correlation over a rectangle of cells of one picture."""
        top, left, bottom, right = cells
        power = self.power[top:bottom, left:right].sum()
        return float(self.total[top:bottom, left:right].sum() / np.sqrt(power + 1e-30))

    def over_time(self, span: Range) -> Real:
        """Deviations by cell over the blocks of a span: float64 [CELLS, CELLS]."""
        deviations: Real = self.total[slice(*span)].sum(0) / np.sqrt(self.power[slice(*span)].sum(0) + 1e-30)
        return deviations

    def over_cells(self, cells: Cells) -> Real:
        """Deviations by block over a rectangle of cells: float64 [blocks]."""
        top, left, bottom, right = cells
        total = self.total[:, top:bottom, left:right].sum((1, 2))
        deviations: Real = total / np.sqrt(self.power[:, top:bottom, left:right].sum((1, 2)) + 1e-30)
        return deviations


def best_range(deviations: Real) -> Range:
    """The stretch of blocks that speaks for the mark as a whole.

    Where blocks of the mark are far above doubt, one that shows nothing ends the stretch: what returns after
    it is a part of its own.
    """
    smooth = _smooth(deviations[None], 1)[0]
    score = _score(deviations, smooth)
    if smooth.max() >= 2 * _CERTAIN:
        score[deviations < _MOST_DOUBT] = -_CERTAIN * len(score)
    sums = np.concatenate([[0.0], np.cumsum(score)])
    gains = sums[None, 1:] - sums[:-1, None]  # [first, last]
    gains[np.tril_indices(len(score), -1)] = -np.inf
    first, last = np.unravel_index(int(gains.argmax()), gains.shape)
    return int(first), int(last) + 1


def best_rectangle(deviations: Real) -> Cells:
    """The rectangle of cells that speaks for the mark as a whole."""
    cells, _ = _rectangle(_score(deviations, _smooth(_smooth(deviations, 1).T, 1).T))
    return cells


def find_hole(deviations: Real, cells: Cells) -> Cells | None:
    """The rectangle inside another in which the mark is missing, as under a picture in a picture, if it is
    missing in one of at least `_LEAST_HOLE` cells.
    """
    top, left, bottom, right = cells
    usual = float(np.median(deviations[top:bottom, left:right]))
    if usual < _MOST_DOUBT:
        return None
    missing = np.full_like(deviations, -np.inf)
    inside = np.clip(usual / 2 - deviations[top:bottom, left:right], -_CERTAIN, _CERTAIN)
    missing[top:bottom, left:right] = inside
    hole, _ = _rectangle(np.maximum(missing, -_CERTAIN * CELLS**2))
    shown = deviations[hole[0] : hole[2], hole[1] : hole[3]]
    return hole if shown.size >= _LEAST_HOLE and shown.mean() < usual / 4 else None


def _rectangle(score: Real) -> tuple[Cells, float]:
    """The rectangle with the largest sum, and the sum."""
    best = -np.inf
    cells = (0, 0, CELLS, CELLS)
    sums = np.concatenate([np.zeros((1, CELLS)), np.cumsum(score, axis=0)])
    for top in range(CELLS):
        for bottom in range(top + 1, CELLS + 1):
            left, right, gain = _best_stretch(sums[bottom] - sums[top])
            if gain > best:
                best, cells = gain, (top, left, bottom, right)
    return cells, best


def _best_stretch(values: Real) -> tuple[int, int, float]:
    sums = np.concatenate([[0.0], np.cumsum(values)])
    lowest = np.minimum.accumulate(sums[:-1])
    gains = sums[1:] - lowest
    last = int(gains.argmax())
    first = int(sums[: last + 1].argmin())
    return first, last + 1, float(gains[last])


def _score(deviations: Real, smooth: Real) -> Real:
    """Deviations above what half of the best place shows, but never asking for more than one."""
    doubt = float(np.clip(smooth.max() / 2, _LEAST_DOUBT, _MOST_DOUBT))
    score: Real = np.clip(deviations - doubt, -doubt, _CERTAIN)
    return score


def _smooth(values: Real, reach: int) -> Real:
    """Mean of each value and its neighbours along the rows."""
    padded = np.pad(values, ((0, 0), (reach, reach)), mode="edge")
    width = values.shape[1]
    smooth: Real = np.stack([padded[:, k : k + width] for k in range(2 * reach + 1)]).mean(0)
    return smooth
