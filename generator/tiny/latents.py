"""The latent space: colours and geometry of every fourth frame, one column of channels per 16x16 pixels.

Colours are the picture without its objects at quarter size, cut into 4x4 cells, along its principal
directions; coefficients are divided by the root of their deviation, so that coarse ones stay larger.
Geometry is `geometry`: where edges run and objects stand, from which the decoder draws them sharp.

A clip of 1 + 4k frames has 1 + k latent frames: frames 0, 4, 8, ... A latent frame is a picture on its own,
which lets the transformer learn from single pictures first; the frames between are the decoder's work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import Tensor

from generator.tiny.geometry import FIELDS, draw_fields
from generator.tiny.render import Grid, render
from generator.tiny.scene import Scene

COLOURS: Final = 8  # channels that hold colour
CHANNELS: Final = COLOURS + FIELDS
STRIDE: Final = 4  # frames per latent frame
CELL: Final = 4  # quarter-size pixels per side of one latent cell
CELL_PIXELS: Final = 16
HEIGHT: Final = 480  # pixels of a whole picture
WIDTH: Final = 832


def _cells(small: Tensor) -> Tensor:
    """[N, 3, h, w] -> [N, 48, h/4, w/4]."""
    return F.pixel_unshuffle(small * 2 - 1, CELL)


@dataclass(frozen=True)
class LatentBasis:
    """mean [48], directions [48, COLOURS] (orthonormal columns), scale [COLOURS]."""

    mean: Tensor
    directions: Tensor
    scale: Tensor

    @staticmethod
    def fit(small: Tensor) -> LatentBasis:
        """The basis of quarter-size pictures [N, 3, h, w] in [0, 1]."""
        rows = _cells(small).permute(0, 2, 3, 1).reshape(-1, 3 * CELL * CELL)
        mean = rows.mean(0)
        _, deviation, directions = torch.linalg.svd(torch.cov((rows - mean).T))
        root = deviation[:COLOURS].sqrt()
        return LatentBasis(mean, directions[:COLOURS].T.contiguous(), (root * root[0]).sqrt())

    def encode(self, small: Tensor) -> Tensor:
        """Quarter-size clips [B, T, 3, h, w] in [0, 1] -> coefficients [B, COLOURS, T, h/4, w/4]."""
        b, t = small.shape[:2]
        cells = _cells(small.flatten(0, 1)) - self.mean.view(1, -1, 1, 1)
        z = torch.einsum("nkhw,kc->nchw", cells, self.directions / self.scale)
        return z.view(b, t, *z.shape[1:]).transpose(1, 2).contiguous()

    def decode(self, coefficients: Tensor) -> Tensor:
        """The linear inverse: coefficients [B, COLOURS, T, h, w] -> quarter-size clips [B, T, 3, 4h, 4w]."""
        b, _, t = coefficients.shape[:3]
        z = coefficients.transpose(1, 2).flatten(0, 1)
        cells = torch.einsum("nchw,kc->nkhw", z, self.directions * self.scale) + self.mean.view(1, -1, 1, 1)
        small = F.pixel_shuffle(cells, CELL) * 0.5 + 0.5
        return small.view(b, t, *small.shape[1:])

    def save(self, path: Path) -> None:
        """Writes the basis as one safetensors file."""
        save_file({"mean": self.mean, "directions": self.directions, "scale": self.scale}, str(path))

    @staticmethod
    def load(path: Path) -> LatentBasis:
        """Reads what `save` wrote."""
        return LatentBasis(**load_file(str(path)))


@dataclass(frozen=True)
class Cells:
    """A rectangle of latent cells: rows x columns from (top, left)."""

    top: int
    left: int
    rows: int
    columns: int

    def grid(self, reduction: int) -> Grid:
        """The rectangle's pixels in the whole picture made `reduction` times smaller."""
        each = CELL_PIXELS // reduction
        whole = Grid.full(HEIGHT // reduction, WIDTH // reduction)
        return whole.crop(self.top * each, self.left * each, self.rows * each, self.columns * each)


WHOLE: Final = Cells(0, 0, HEIGHT // CELL_PIXELS, WIDTH // CELL_PIXELS)


@torch.no_grad()
def encode_scenes(basis: LatentBasis, scenes: list[Scene], times: Tensor, cells: list[Cells]) -> Tensor:
    """Latents [B, CHANNELS, T, rows, columns] of scenes, each with its cells, at `times` [T] or [B, T]."""
    plain = render(scenes, times, Grid.stack([c.grid(CELL) for c in cells]), objects=False)
    fields = draw_fields(scenes, times, Grid.stack([c.grid(CELL_PIXELS) for c in cells]))
    return torch.cat((basis.encode(plain), fields), 1)
