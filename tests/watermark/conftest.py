"""Real pictures and fixed keys. Photographs come with scikit-image; the larger set beside the checkout is
optional.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from watermark import Detector, KeyRing, Mark, MediaId

Frame = NDArray[np.uint8]
SHARED = Path(__file__).parents[2].parent / "shared"
MEDIA_ID = MediaId(0x0123456789AB)


def make_ring(name: str, *, subkeys: int = 4, epoch: int = 0) -> KeyRing:
    master = hashlib.sha256(name.encode()).digest()
    return KeyRing.derive(master, deployment="tests", epoch=epoch, subkeys=subkeys)


def embed(frames: Frame, mark: Mark) -> Frame:
    """Marked copies of uint8 frames [F, H, W, 3] or of one picture [H, W, 3], rounded to 8 bits."""
    batch = frames if frames.ndim == 4 else frames[None]
    floats = torch.from_numpy(batch.copy()).permute(0, 3, 1, 2).float() / 255
    marked = (mark.apply(floats) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return marked if frames.ndim == 4 else marked[0]


def psnr(a: Frame, b: Frame) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return make_ring("ring")


@pytest.fixture(scope="session")
def mark(ring: KeyRing) -> Mark:
    return Mark(ring.subkey(2), MEDIA_ID)


@pytest.fixture(scope="session")
def detector(ring: KeyRing) -> Detector:
    return Detector([ring])


@pytest.fixture(scope="session")
def photo() -> Frame:
    """The astronaut portrait (NASA, public domain), 512 x 512."""
    picture: Frame = data.astronaut()
    return picture


@pytest.fixture(scope="session")
def marked_photo(photo: Frame, mark: Mark) -> Frame:
    return embed(photo, mark)


@pytest.fixture(scope="session")
def clip() -> Frame:
    """24 frames, 512 x 512, of a camera that pans over a photograph."""
    portrait = data.astronaut()
    wide = np.concatenate([portrait, portrait[:, ::-1]], axis=1)
    return np.stack([wide[:, 2 * t : 2 * t + 512] for t in range(24)])


@pytest.fixture(scope="session")
def marked_clip(clip: Frame, mark: Mark) -> Frame:
    return embed(clip, mark)


@pytest.fixture(scope="session")
def shared_media() -> Path:
    folder = SHARED / "data" / "media"
    if not folder.is_dir():
        pytest.skip(f"no test media at {folder}")
    return folder
