"""Statistics of broken pictures that the eye sees at once and a mean does not: blocks, bands, flicker.

Each reads luma, float32 [H, W], 0 to 255, and costs a few passes over it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.float32]

PERIODS: Final = (8, 16, 32)
"""Pixels. Patches of latents and of token grids are decoded at these sizes."""
STEP_CAP: Final = 12.0
"""Grey levels. Larger steps are edges of objects; capped, one of them does not make a grid."""
STEP_FLOOR: Final = 0.6
"""Grey levels: the mark and rounding alone make steps of this size everywhere."""
CELL: Final = 4
"""Pixels averaged to a cell before bands are looked for: takes the grain of the mark out."""
RUN: Final = 9
"""Cells in a row that are judged together: 36 pixels."""
GENTLE: Final = (6.0, 40.0)
"""Grey levels by which a run may rise or fall to count as a gradient: less is flat, more is an edge."""
FLAT_STEP: Final = 0.4
"""Grey levels between neighbouring cells that are no step: a gradient that rises by 6 has steps of 0.75."""
FLAT_STEPS: Final = 3
"""Flat steps, of eight, that make a gradient a staircase."""
FEWEST_RUNS: Final = 0.05
"""Share of all runs that must be gradients before their steps mean anything."""
LEVELS: Final = 512
"""Bins of half a grey level."""
FULL_LEVELS: Final = 0.5
"""A picture with even gradients fills more than this share of the levels in its range; one in bands fills
few."""


def blockiness(luma: Luma) -> float:
    """How much larger steps across the lines of a regular grid are than steps beside them; 1 without a grid.

    The ratio of Wang, Sheikh and Bovik ("No-reference perceptual quality assessment of JPEG compressed
    images", 2002) at three grid sizes and every offset; lines must stand out both ways.
    """
    across = np.minimum(np.abs(np.diff(luma, axis=1)), STEP_CAP).mean(axis=0)
    down = np.minimum(np.abs(np.diff(luma, axis=0)), STEP_CAP).mean(axis=1)
    return max(min(_grid(across, period), _grid(down, period)) for period in PERIODS)


def _grid(profile: NDArray[np.float32], period: int) -> float:
    whole = len(profile) // period * period
    if whole < 2 * period:
        return 1.0
    by_offset = np.median(profile[:whole].reshape(-1, period), axis=0)
    return float((by_offset.max() + STEP_FLOOR) / (np.median(by_offset) + STEP_FLOOR))


def banding(luma: Luma) -> float:
    """Share of gentle gradients that rise in stairs instead of evenly, 0 to 1.

    0 where there are too few gradients, and where the flat places of the picture fill the levels of its
    range: a picture in bands has few levels, whichever they are.
    """
    cells = _cells(luma)
    stairs, gradients, runs = 0, 0, 0
    for lines in (cells, cells.T):
        if lines.shape[1] < RUN:
            continue
        steps = np.lib.stride_tricks.sliding_window_view(np.diff(lines, axis=1), RUN - 1, axis=1)
        rise, travelled = np.abs(steps.sum(axis=-1)), np.abs(steps).sum(axis=-1)
        gentle = (rise >= GENTLE[0]) & (rise <= GENTLE[1]) & (travelled <= 1.25 * rise)
        stairs += int((gentle & ((np.abs(steps) < FLAT_STEP).sum(axis=-1) >= FLAT_STEPS)).sum())
        gradients += int(gentle.sum())
        runs += gentle.size
    if not gradients or gradients < FEWEST_RUNS * runs or _filled_levels(cells) > FULL_LEVELS:
        return 0.0
    return stairs / gradients


def _filled_levels(cells: Luma) -> float:
    """Share of half grey levels in use between the 2nd and the 98th percentile of the flat cells."""
    change = np.maximum(np.abs(np.diff(cells, axis=1))[:-1], np.abs(np.diff(cells, axis=0))[:, :-1])
    flat = cells[:-1, :-1][change < 1.0]
    if not flat.size:
        return 1.0
    counts = np.histogram(flat, bins=LEVELS, range=(0, 256))[0]
    low, high = np.searchsorted(np.cumsum(counts), (0.02 * flat.size, 0.98 * flat.size))
    used = counts[low : high + 1]
    return float((used > 0.1 * used.mean()).mean())


def _cells(luma: Luma) -> Luma:
    height, width = (side // CELL * CELL for side in luma.shape)
    cells: Luma = luma[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL).mean(axis=(1, 3))
    return cells


def flicker(tiles: NDArray[np.float32]) -> float:
    """The largest mean second difference over time, in grey levels, of `tiles` [F, T]: mean luma of T places.

    A light that fades or an object that passes changes a place's brightness once; flicker changes it there
    and back in every frame. 0 for fewer than three frames.
    """
    if len(tiles) < 3:
        return 0.0
    return float(np.abs(np.diff(tiles, n=2, axis=0)).mean(axis=0).max())
