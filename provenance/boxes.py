"""The top-level boxes of MP4 and QuickTime files (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_BOXES: Final = 100_000
"""Two per fragment: more than a day of one-second fragments."""


def top_level_boxes(path: Path) -> Iterator[bytes]:
    """The four-character types of a file's boxes, in order; ends quietly where the file stops making
    sense."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = 0
        for _ in range(MAX_BOXES):
            file.seek(start)
            head = file.read(16)
            if len(head) < 8:
                return
            yield head[4:8]
            length = int.from_bytes(head[:4], "big")
            if length == 1:  # the length stands behind the type, in 64 bits
                length = int.from_bytes(head[8:16], "big")
            if length < 8 or start + length >= size:  # 0: this box goes on to the end of the file
                return
            start += length


def has_one_media_box(path: Path) -> bool:
    """True when all samples are in a single `mdat`, as in every file that is not fragmented."""
    return sum(kind == b"mdat" for kind in top_level_boxes(path)) == 1
