"""The maps of a medium block by block, so that those of any span can be had, with parts taken out."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.errors import DetectionError
from watermark.evidence import CELLS, Cells, Range
from watermark.frontend import Maps, Summed, feed, work_size
from watermark.geometry import Matrix

BLOCK_SECONDS = 0.5
MAX_BLOCKS = 64  # about 60 MB for wide pictures; longer clips get longer blocks
_READ_PER_BLOCK = 6  # frames: neighbours tell much the same
_LEAST_LEFT = 0.05  # of a window: less is not worth examining


@dataclass
class Timeline:
    """Maps by block; `left` bool [blocks, CELLS, CELLS] says what was not taken out."""

    maps: list[Maps]
    starts: list[int]  # first frame of each block, and at the end the number of frames
    fps: float
    left: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def height(self) -> int:
        """Pixels."""
        return self.maps[0].height

    @property
    def width(self) -> int:
        """Pixels."""
        return self.maps[0].width

    def spans(self) -> int:
        """How many spans of whole blocks there are."""
        return len(self) * (len(self) + 1) // 2

    def seconds(self, span: Range) -> tuple[float, float]:
        """From when to when a span lasts; 0 to 0 for a still."""
        if self.fps <= 0:
            return 0.0, 0.0
        return self.starts[span[0]] / self.fps, self.starts[span[1]] / self.fps

    def blocks(self) -> Iterator[Maps]:
        """The maps of each block."""
        return (self.sum((index, index + 1)) for index in range(len(self)))

    def sum(self, span: Range) -> Maps:
        """The maps of a span, without what was taken out."""
        masked = [
            _masked(maps, left)
            for maps, left in zip(self.maps[slice(*span)], self.left[slice(*span)], strict=True)
        ]
        return reduce(add, masked)

    def window(self, span: Range, cells: Cells) -> tuple[Maps, Matrix]:
        """The maps of a rectangle of cells alone, and the shift from its pixels to those of the picture."""
        maps = self.sum(span)
        height, width = maps.luma.shape
        rows, columns = _samples(cells[0::2], height), _samples(cells[1::2], width)
        part = Maps(
            _grown(maps.luma[rows, columns]),
            _grown(maps.chroma[rows, columns]),
            height=round(maps.height * (rows.stop - rows.start) / height),
            width=round(maps.width * (columns.stop - columns.start) / width),
            frames=maps.frames,
        )
        y, x = rows.start * maps.height / height, columns.start * maps.width / width
        return part, np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    def has_left(self, span: Range, cells: Cells) -> bool:
        """Whether enough of a rectangle of cells was not taken out."""
        top, left, bottom, right = cells
        return float(self.left[slice(*span), top:bottom, left:right].mean()) >= _LEAST_LEFT

    def take_out(self, span: Range, cells: Cells, hole: Cells | None) -> None:
        """Leave the cells of a span, and those next to them, out of what is examined from now on; those in
        `hole` stay.
        """
        top, left, bottom, right = cells
        kept = self.left[slice(*span)].copy()
        self.left[slice(*span), max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1] = False
        if hole is not None:
            top, left, bottom, right = hole
            self.left[slice(*span), top:bottom, left:right] = kept[:, top:bottom, left:right]


class Blocks:
    """The maps of a medium block by block, taken frame by frame.

    Of every block six frames are read, spread over it; when there are too many blocks, pairs are joined and
    blocks get twice as long.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._per_block = max(round(fps * BLOCK_SECONDS), 1)
        self._maps: dict[int, Maps] = {}  # by the first frame of their block
        self._starts = [0]
        self._seen = 0

    def wants(self, index: int) -> bool:
        """Whether frame `index` is to be read; every frame is asked for, in order."""
        if index == self._starts[-1] + self._per_block:
            self._begin(index)
        self._seen = index + 1
        return (index - self._starts[-1]) % max(self._per_block // _READ_PER_BLOCK, 1) == 0

    def add(self, index: int, frame: Maps) -> None:
        """Add the maps of a frame. Raises `DetectionError` when it is not of the size of the first."""
        if self._maps:
            next(iter(self._maps.values())).require_size_of(frame)
        self._join(index, frame)

    def timeline(self) -> Timeline:
        """All blocks. Raises `DetectionError` when there were no frames."""
        if not self._maps:
            raise DetectionError("there are no frames to examine")
        left = np.ones((len(self._maps), CELLS, CELLS), np.bool_)
        return Timeline(list(self._maps.values()), [*self._starts, self._seen], self._fps, left)

    def _begin(self, start: int) -> None:
        self._starts.append(start)
        if len(self._starts) > MAX_BLOCKS:
            self._starts, before = self._starts[::2], self._maps
            self._per_block *= 2
            self._maps = {}
            for index, maps in before.items():
                self._join(index, maps)

    def _join(self, index: int, maps: Maps) -> None:
        """Add maps to those of the block that frame `index` lies in."""
        start = self._starts[bisect_right(self._starts, index) - 1]
        there = self._maps.get(start)
        self._maps[start] = maps if there is None else there + maps


def read_timeline(frames: Iterable[NDArray[np.uint8]], fps: float) -> Timeline:
    """Read frames, uint8 [H, W, 3], once. Raises `DetectionError` for none, or for frames of other sizes."""
    blocks = Blocks(fps)
    feed(frames, blocks)
    return blocks.timeline()


def read_both(frames: Iterable[NDArray[np.uint8]], fps: float) -> tuple[Maps, Timeline]:
    """What `accumulate` and `read_timeline` give, from one pass in which no frame is analysed twice."""
    summed, blocks = Summed(), Blocks(fps)
    feed(frames, summed, blocks)
    return summed.maps(), blocks.timeline()


def _grown(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same at the size of the maps of a whole picture, whose band a search expects."""
    height, width = work_size(*plane.shape)
    grown: NDArray[np.float32] = cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC)
    return grown


def _samples(cells: tuple[int, ...], size: int) -> slice:
    return slice(round(cells[0] * size / CELLS), round(cells[1] * size / CELLS))


def _masked(maps: Maps, left: NDArray[np.bool_]) -> Maps:
    if left.all():
        return maps
    height, width = maps.luma.shape
    mask = cv2.resize(left.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    return Maps(maps.luma * mask, maps.chroma * mask, maps.height, maps.width, maps.frames)
