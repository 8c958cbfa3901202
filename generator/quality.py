"""Is the result a picture at all? Checks for the broken outputs that generators report as success.

Not a judgement of taste. All-black clips come from NaNs cast to bytes (diffusers issue 10314), black tiles
from a tiled decode gone wrong (Wan2GP issue 2301), frozen and flashing clips from broken latents. Thresholds
are named, and were set on planted defects and on real clips, none of which fail
(tests/generator/test_quality.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from generator.defects import Luma, banding, blockiness, flicker
from generator.errors import QualityError

BLACK_LUMA: Final = 16
"""Grey level below which a pixel counts as black; a night sky of a real clip lies above it."""
BLACK_AREA: Final = 0.98
"""Share of black pixels that makes a frame black, as in ffmpeg's blackdetect."""
TILES: Final = 4
"""A frame is read as 4 x 4 tiles: no more than the fewest that a tiled decode of a large frame makes."""
DEAD_DEVIATION: Final = 0.5
"""Grey levels. A tile of less spread and a mean below 2 was never written; even the mark alone spreads
more."""
DEAD_TILES: Final = 0.25
STILL_CHANGE: Final = 0.05
"""Grey levels. A frame repeats an earlier one when no tile differs more in the mean. The least moving of
the landscapes that the embedded generator is trained on changes 0.08 from frame to frame."""
STILL_RUN: Final = 6
"""Repeats of one frame that make a standstill; of a clip of fewer than 13 frames, half of its frame pairs. A
slow pan repeats a frame once or twice and then leaves it; the mark changes every second or so."""
FLASH_LEVELS: Final = 25.0
"""Mean second difference of a clip's brightness in grey levels; the shared real clips stay below 2."""
FLICKER_LEVELS: Final = 12.0
"""The same of the worst of 16 tiles."""
BLOCK_RATIO: Final = 1.9
"""The embedded decoder's own grid reaches 1.5, photographs and their JPEG copies 1.3."""
BAND_SHARE: Final = 0.4
"""Photographs and the shared clips give 0; pictures of 16 grey levels give 0.5 and more."""
LOOKED_AT: Final = 5
"""Frames of a clip that are searched for blocks and bands, evenly spread; their median counts."""
_QUARTER: Final = 4
_REC709: Final = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityRules:
    """What a clip may show before it fails, in the units of `QualityReport`. `inf` switches a rule off."""

    max_black: float = 0.10
    max_dead: float = 0.10
    max_frozen: float = 0.50
    max_flash: float = FLASH_LEVELS
    max_flicker: float = FLICKER_LEVELS
    max_blocks: float = BLOCK_RATIO
    max_bands: float = BAND_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What was measured: shares of frames (black, dead tiles), share of frame pairs in standstills (frozen),
    grey levels (flash, flicker), ratio of steps (blocks), share of gradients (bands)."""

    frames: int
    black: float
    dead: float
    frozen: float
    flash: float
    flicker: float = 0.0
    blocks: float = 1.0
    bands: float = 0.0

    def failures(self, rules: QualityRules) -> tuple[str, ...]:
        """One sentence for each rule that is broken."""
        found = (
            (self.black > rules.max_black, f"{self.black:.0%} of the frames are black"),
            (self.dead > rules.max_dead, f"{self.dead:.0%} of the frames have tiles that were never written"),
            (self.frozen > rules.max_frozen, f"{self.frozen:.0%} of the clip stands still"),
            (self.flash > rules.max_flash, f"the brightness jumps by {self.flash:.0f} grey levels a frame"),
            (self.flicker > rules.max_flicker, f"a part flickers by {self.flicker:.0f} grey levels a frame"),
            (
                self.blocks > rules.max_blocks,
                f"a grid of blocks shows, {self.blocks:.1f} times its surroundings",
            ),
            (self.bands > rules.max_bands, f"{self.bands:.0%} of the gradients rise in steps"),
        )
        return tuple(sentence for broken, sentence in found if broken)


def measure(frames: NDArray[np.uint8]) -> QualityReport:
    """Measure `frames`: uint8 [F, H, W, 3], sRGB. Raises `QualityError` when there is none."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise QualityError(f"no pictures to check: an array of shape {frames.shape}")
    black, dead, means, tiles = [], [], [], []
    runs: list[int] = []
    kept: Luma | None = None
    for frame in frames:  # one frame at a time: a float copy of a clip would be four times its size
        small = _quarter_luma(frame)
        black.append(float((small < BLACK_LUMA).mean()) >= BLACK_AREA)
        parts = _tiles(small)
        dead.append(_dead_share(parts) >= DEAD_TILES)
        tiles.append([float(part.mean()) for part in parts])
        means.append(float(small.mean()))
        if kept is not None and _repeats(small, kept):
            runs[-1] += 1
        else:
            runs.append(0)
            kept = small
    looked = [
        _luma(frames[index]) for index in np.unique(np.linspace(0, len(frames) - 1, LOOKED_AT).astype(int))
    ]
    return QualityReport(
        frames=len(frames),
        black=float(np.mean(black)),
        dead=float(np.mean(dead)),
        frozen=_standstill(runs, len(frames) - 1),
        flash=float(np.abs(np.diff(means, n=2)).mean()) if len(means) > 2 else 0.0,
        flicker=flicker(np.array(tiles, dtype=np.float32)),
        blocks=float(np.median([blockiness(luma) for luma in looked])),
        bands=float(np.median([banding(luma) for luma in looked])),
    )


def check_quality(frames: NDArray[np.uint8], rules: QualityRules) -> QualityReport:
    """`measure`, and raise `QualityError` naming every rule that is broken."""
    report = measure(frames)
    failures = report.failures(rules)
    if failures:
        raise QualityError(f"the result is broken: {'; '.join(failures)}; try another seed")
    return report


def _luma(frame: NDArray[np.uint8]) -> Luma:
    luma: Luma = frame.astype(np.float32) @ _REC709
    return luma


def _quarter_luma(frame: NDArray[np.uint8]) -> Luma:
    """Luma of every fourth pixel. Decimation is enough: the checks ask for wide areas, not for detail."""
    return _luma(frame[::_QUARTER, ::_QUARTER])


def _tiles(luma: Luma) -> list[Luma]:
    return [
        tile
        for rows in np.array_split(luma, TILES, axis=0)
        for tile in np.array_split(rows, TILES, axis=1)
        if tile.size
    ]


def _repeats(luma: Luma, earlier: Luma) -> bool:
    return max(float(tile.mean()) for tile in _tiles(np.abs(luma - earlier))) < STILL_CHANGE


def _standstill(runs: list[int], pairs: int) -> float:
    """Share of a clip's frame pairs that lie in `runs` of repeats long enough to count."""
    long = min(STILL_RUN, max(1, pairs // 2))
    return sum(run for run in runs if run >= long) / pairs if pairs else 0.0


def _dead_share(tiles: list[Luma]) -> float:
    return float(np.mean([tile.mean() < 2 and tile.std() < DEAD_DEVIATION for tile in tiles]))
