"""The maps of a medium block by block, so that those of any span can be had, with parts taken out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from watermark.errors import DetectionError
from watermark.evidence import CELLS, Cells, Range
from watermark.frontend import Maps, accumulate, work_size
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
        return _sum(masked)

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


def read_timeline(frames: Iterable[NDArray[np.uint8]], fps: float) -> Timeline:
    """Read frames, uint8 [H, W, 3], once. Raises `DetectionError` for none, or for frames of other sizes."""
    per_block = max(round(fps * BLOCK_SECONDS), 1)
    blocks: list[Maps] = []
    starts = [0]
    source = iter(frames)
    while taken := _take(source, per_block):
        count, chunk = taken
        maps = accumulate(chunk)
        if blocks and (maps.height, maps.width) != (blocks[0].height, blocks[0].width):
            raise DetectionError(f"frame {starts[-1]} is not of the size of the first")
        blocks.append(maps)
        starts.append(starts[-1] + count)
        if len(blocks) == MAX_BLOCKS:
            blocks = [_sum(blocks[i : i + 2]) for i in range(0, MAX_BLOCKS, 2)]
            starts = starts[::2]
            per_block *= 2
    if not blocks:
        raise DetectionError("there are no frames to examine")
    return Timeline(blocks, starts, fps, np.ones((len(blocks), CELLS, CELLS), np.bool_))


def _grown(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same at the size of the maps of a whole picture, whose band a search expects."""
    height, width = work_size(*plane.shape)
    grown: NDArray[np.float32] = cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC)
    return grown


def _samples(cells: tuple[int, ...], size: int) -> slice:
    return slice(round(cells[0] * size / CELLS), round(cells[1] * size / CELLS))


def _take(source: Iterator[NDArray[np.uint8]], count: int) -> tuple[int, list[NDArray[np.uint8]]] | None:
    """How many of the next `count` frames there are, and those of them that are read; None at the end."""
    step = max(count // _READ_PER_BLOCK, 1)
    kept, taken = [], 0
    for taken, frame in enumerate(islice(source, count), start=1):
        if (taken - 1) % step == 0:
            kept.append(frame)
    return (taken, kept) if taken else None


def _sum(parts: list[Maps]) -> Maps:
    luma = np.stack([part.luma for part in parts]).sum(0, dtype=np.float32)
    chroma = np.stack([part.chroma for part in parts]).sum(0, dtype=np.float32)
    return Maps(luma, chroma, parts[0].height, parts[0].width, sum(part.frames for part in parts))


def _masked(maps: Maps, left: NDArray[np.bool_]) -> Maps:
    if left.all():
        return maps
    height, width = maps.luma.shape
    mask = cv2.resize(left.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    return Maps(maps.luma * mask, maps.chroma * mask, maps.height, maps.width, maps.frames)
