"""The boxes of MP4, QuickTime and AVIF files (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

MAX_BOXES: Final = 100_000
"""Two per fragment: more than a day of one-second fragments."""


@dataclass(frozen=True, slots=True)
class Box:
    """`start` and `end` in bytes from the start of what it lies in, its head of `head` bytes included. `open`
    says that it goes on to the end of the file, whatever is added there."""

    kind: bytes
    start: int
    end: int
    head: int
    open: bool = False


def top_level_boxes(path: Path) -> Iterator[Box]:
    """A file's boxes, in order; ends quietly where the file stops making sense."""
    size = path.stat().st_size
    with path.open("rb") as file:
        yield from _walk(file, size)


def _walk(file: BinaryIO, size: int) -> Iterator[Box]:
    start = 0
    for _ in range(MAX_BOXES):
        file.seek(start)
        box = _box(file.read(16), start, size)
        if box is None:
            return
        yield box
        if box.end <= start or box.end >= size:
            return
        start = box.end


def boxes_in(content: bytes, start: int = 0) -> list[Box]:
    """The boxes of `content` from `start`. Raises ValueError where they do not fill it."""
    found: list[Box] = []
    while start < len(content):
        box = _box(content[start : start + 16], start, len(content))
        if box is None or not start < box.end <= len(content) or len(found) >= MAX_BOXES:
            raise ValueError("its boxes do not fit together")
        found.append(box)
        start = box.end
    return found


def _box(head: bytes, start: int, size: int) -> Box | None:
    if len(head) < 8:
        return None
    length, used = int.from_bytes(head[:4], "big"), 8
    if length == 1:  # the length stands behind the type, in 64 bits
        length, used = int.from_bytes(head[8:16], "big"), 16
    if length == 0:
        return Box(head[4:8], start, size, used, open=True)
    return Box(head[4:8], start, start + length if length >= used else start, used)


def make_box(kind: bytes, body: bytes) -> bytes:
    """A box with a length of 32 bits."""
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def has_one_media_box(path: Path) -> bool:
    """True when all samples are in a single `mdat`, as in every file that is not fragmented."""
    return sum(box.kind == b"mdat" for box in top_level_boxes(path)) == 1
