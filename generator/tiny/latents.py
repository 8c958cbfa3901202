"""The latent space: every fourth frame at quarter size, cut into 4x4 cells, along its principal directions.

A clip of 1 + 4k frames has 1 + k latent frames: frames 0, 4, 8, ... A latent frame is a picture on its own,
which lets the transformer learn from single pictures first; the frames between are the decoder's work.
Coefficients are divided by the root of their deviation, so that coarse ones stay larger than fine ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file
from torch import Tensor

CHANNELS: Final = 16
STRIDE: Final = 4  # frames per latent frame
REDUCTION: Final = 4  # pixels per side of one quarter-size pixel
CELL: Final = 4  # quarter-size pixels per side of one latent cell


def quarter(frames: Tensor) -> Tensor:
    """Frames [..., 3, H, W] averaged over 4x4 pixels; H and W are multiples of 4."""
    lead = frames.shape[:-3]
    small = F.avg_pool2d(frames.reshape(-1, *frames.shape[-3:]), REDUCTION)
    return small.view(*lead, *small.shape[-3:])


def _cells(small: Tensor) -> Tensor:
    """[N, 3, h, w] -> [N, 48, h/4, w/4]."""
    return F.pixel_unshuffle(small * 2 - 1, CELL)


@dataclass(frozen=True)
class LatentBasis:
    """mean [48], directions [48, CHANNELS] (orthonormal columns), scale [CHANNELS]."""

    mean: Tensor
    directions: Tensor
    scale: Tensor

    @staticmethod
    def fit(small: Tensor) -> LatentBasis:
        """The basis of quarter-size pictures [N, 3, h, w] in [0, 1]."""
        rows = _cells(small).permute(0, 2, 3, 1).reshape(-1, 3 * CELL * CELL)
        mean = rows.mean(0)
        _, deviation, directions = torch.linalg.svd(torch.cov((rows - mean).T))
        root = deviation[:CHANNELS].sqrt()
        return LatentBasis(mean, directions[:CHANNELS].T.contiguous(), (root * root[0]).sqrt())

    def encode(self, small: Tensor) -> Tensor:
        """Quarter-size clips [B, T, 3, h, w] in [0, 1] -> latents [B, CHANNELS, T, h/4, w/4]."""
        b, t = small.shape[:2]
        cells = _cells(small.flatten(0, 1)) - self.mean.view(1, -1, 1, 1)
        z = torch.einsum("nkhw,kc->nchw", cells, self.directions / self.scale)
        return z.view(b, t, *z.shape[1:]).transpose(1, 2).contiguous()

    def decode(self, latents: Tensor) -> Tensor:
        """The linear inverse: latents [B, CHANNELS, T, h, w] -> quarter-size clips [B, T, 3, 4h, 4w]."""
        b, _, t = latents.shape[:3]
        z = latents.transpose(1, 2).flatten(0, 1)
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
