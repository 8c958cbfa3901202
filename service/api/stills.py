"""Pictures taken from a finished clip. Whatever leaves carries the clip's mark, readable."""

from __future__ import annotations

import math
import secrets
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service import keys
from service.errors import Problem
from service.wiring import Services
from watermark import Detector, KeyRing, MediaId, open_media, write_image

QUALITY = 90
SHEET_STILLS = 25
"""Stills of a sheet, evenly spread: what a player shows over its time line."""
STILL_WIDTH = 320


def thumbnail(path: Path, target: Path) -> None:
    """Write the middle frame of a clip at its full size: smaller, it would no longer carry the mark."""
    media = open_media(path)
    middle = next(islice(media.frames(), media.frame_count // 2, None))
    write_image(target, middle, quality=QUALITY)


def spritesheet(path: Path, target: Path, media_id: MediaId, services: Services) -> None:
    """Write reduced stills in rows, left to right, marked as a picture of its own under the clip's id.

    Raises `Problem` 500 when the mark does not read back: then nothing is delivered.
    """
    rings = keys.rings(services.settings)
    write_image(target, _marked(_sheet(path), rings[0], media_id), quality=QUALITY)
    if Detector(rings).detect(open_media(target).frames()).media_id != media_id:
        raise Problem(500, "mark_not_readable", "The sheet's mark does not read back.", stage="mark")


def _marked(sheet: NDArray[np.uint8], ring: KeyRing, media_id: MediaId) -> NDArray[np.uint8]:
    import torch  # takes seconds to load, and most API processes never need it

    from watermark import Mark

    frame = torch.from_numpy(sheet).permute(2, 0, 1).float().div(255)
    marked = Mark(ring.draw(secrets.randbelow), media_id).apply(frame[None])[0]
    return np.asarray((marked * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy(), np.uint8)


def _sheet(path: Path) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]: at most `SHEET_STILLS` stills on a square grid; empty places repeat the last."""
    media = open_media(path)
    shown = min(SHEET_STILLS, media.frame_count)
    wanted = {round(index) for index in np.linspace(0, media.frame_count - 1, shown)}
    width = min(STILL_WIDTH, media.width)
    size = (width, max(1, round(media.height * width / media.width)))
    stills = [
        np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS), np.uint8)
        for index, frame in enumerate(media.frames())
        if index in wanted
    ]
    columns = math.ceil(math.sqrt(len(stills)))
    rows = math.ceil(len(stills) / columns)
    stills += [stills[-1]] * (rows * columns - len(stills))
    lines = [np.concatenate(stills[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
    return np.concatenate(lines, axis=0)
