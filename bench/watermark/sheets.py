"""Contact sheets: the unmarked picture, the marked one, their difference times 20, and attacked copies."""

import cv2
import numpy as np

from bench.watermark.attacks import SCREEN_CAPTURE, Attack, Crop, Frames, Jpeg, Rotate
from bench.watermark.media import Medium
from bench.watermark.systems import Trial, load_system

GAIN = 20
"""Amplification of the difference, around mid-grey."""
SHOWN: tuple[Attack, ...] = (Jpeg(25), Crop(0.55), Rotate(10.0), SCREEN_CAPTURE)
GAP = 6
TRIAL = Trial(0, 0)


def difference(source: Frames, marked: Frames) -> Frames:
    """128 + GAIN * (marked - source), uint8."""
    return np.asarray(np.clip(128 + GAIN * (marked.astype(np.int16) - source), 0, 255), np.uint8)


def tiles(medium: Medium) -> list[Frames]:
    """[H, W, 3] tiles of one medium: source, marked, difference, attacked copies."""
    source = medium.load()
    marked = load_system("assay").embed(source, TRIAL)
    middle = len(source) // 2
    first = [source[middle], marked[middle], difference(source[middle], marked[middle])]
    return first + [attack.apply(marked[[middle]])[0] for attack in SHOWN]


def fit(tile: Frames, height: int) -> Frames:
    """Scale a tile to `height` lines."""
    width = max(1, round(tile.shape[1] * height / tile.shape[0]))
    return np.asarray(cv2.resize(tile, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def row(pictures: list[Frames], height: int) -> Frames:
    """Tiles side by side on white."""
    gap = np.full((height, GAP, 3), 255, np.uint8)
    parts = [part for tile in pictures for part in (fit(tile, height), gap)]
    return np.concatenate(parts[:-1], 1)


def sheet(media: list[Medium], *, height: int = 160) -> Frames:
    """One row for each medium."""
    rows = [row(tiles(medium), height) for medium in media]
    width = max(part.shape[1] for part in rows)
    padded = [np.pad(r, ((0, GAP), (0, width - r.shape[1]), (0, 0)), constant_values=255) for r in rows]
    return np.concatenate(padded)


def visibility(medium: Medium, *, zoom: int, side: int = 512) -> Frames:
    """Unmarked and marked side by side, centre crop of `side` pixels at `zoom` times, for a look by eye."""
    source = medium.load()
    marked = load_system("assay").embed(source, TRIAL)
    middle = len(source) // 2
    size = side // zoom
    pair = [_centre(frames[middle], size).repeat(zoom, 0).repeat(zoom, 1) for frames in (source, marked)]
    return row(pair, pair[0].shape[0])


def _centre(frame: Frames, side: int) -> Frames:
    height, width = min(side, frame.shape[0]), min(side, frame.shape[1])
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return frame[top : top + height, left : left + width]
