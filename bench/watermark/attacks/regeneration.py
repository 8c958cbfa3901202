"""Regeneration: the picture is rebuilt by an autoencoder, or marked again over the mark.

The autoencoder here is TAEF2, the tiny autoencoder of the FLUX.2 latent space (madebyollin/taesd, MIT);
its two weight files are given by the caller.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from bench.watermark.attacks.base import Frames, InPlace, per_frame, to_uint8
from bench.watermark.errors import UnavailableError

WIDTH = 64
GROUPS = 4
STRIDE = 8
"""Pixels per latent cell: the sides are cut to a multiple of it."""


class Clamp(nn.Module):
    """Soft limit of the latent to +-3."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x / 3) * 3


class Residual(nn.Module):
    """Three convolutions around a skip; the middle stages add a normalised branch first."""

    def __init__(self, *, branch: bool = False) -> None:
        super().__init__()
        first, second, third = (nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
        self.pool = _branch() if branch else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


def _branch() -> nn.Sequential:
    wide = WIDTH * GROUPS
    return nn.Sequential(
        nn.Conv2d(WIDTH, wide, 1, bias=False),
        nn.GroupNorm(GROUPS, wide),
        nn.ReLU(),
        nn.Conv2d(wide, WIDTH, 1, bias=False),
    )


def encoder(latent: int = 32) -> nn.Sequential:
    """RGB in [0, 1] -> latent at an eighth of the side."""
    layers: list[nn.Module] = [nn.Conv2d(3, WIDTH, 3, padding=1), Residual()]
    for stage in range(3):
        layers.append(nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1, bias=False))
        layers.extend(Residual(branch=stage == 2) for _ in range(3))
    return nn.Sequential(*layers, nn.Conv2d(WIDTH, latent, 3, padding=1))


def decoder(latent: int = 32) -> nn.Sequential:
    """Latent -> RGB in about [0, 1] at eight times the side."""
    layers: list[nn.Module] = [Clamp(), nn.Conv2d(latent, WIDTH, 3, padding=1), nn.ReLU()]
    for stage in range(3):
        layers.extend(Residual(branch=stage == 0) for _ in range(3))
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)]
    return nn.Sequential(*layers, Residual(), nn.Conv2d(WIDTH, 3, 3, padding=1))


@lru_cache(1)
def load_autoencoder(folder: Path) -> tuple[nn.Sequential, nn.Sequential]:
    """TAEF2's encoder and decoder from `taef2_encoder.pth` and `taef2_decoder.pth` in `folder`."""
    pair = []
    for name, net in (("encoder", encoder()), ("decoder", decoder())):
        path = folder / f"taef2_{name}.pth"
        if not path.is_file():
            raise UnavailableError(f"{path} is missing: put the TAEF2 weights there, or leave out --vae")
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        pair.append(net.eval().requires_grad_(False))
    return pair[0], pair[1]


@dataclass(frozen=True)
class VaeRoundTrip(InPlace):
    """Encode and decode `passes` times; `noise` in standard deviations of the latent is added each time."""

    label: ClassVar[str] = "vae"
    passes: int
    noise: float
    folder: Path

    @property
    def name(self) -> str:
        return f"vae round trip x{self.passes}" + (f" noise {self.noise:g}" if self.noise else "")

    def change(self, frames: Frames, rng: np.random.Generator) -> Frames:
        return per_frame(frames, lambda frame: self._rebuild(frame, rng))

    @torch.inference_mode()
    def _rebuild(self, frame: Frames, rng: np.random.Generator) -> Frames:
        into, out = load_autoencoder(self.folder)
        height, width = (side // STRIDE * STRIDE for side in frame.shape[:2])
        x = torch.from_numpy(frame[:height, :width].copy()).permute(2, 0, 1)[None].float() / 255
        for _ in range(self.passes):
            z = into(x)
            draw = torch.from_numpy(rng.standard_normal(z.shape, np.float32))
            x = out(z + self.noise * z.std() * draw).clamp(0, 1)
        return to_uint8(x[0].permute(1, 2, 0).numpy() * 255)
