"""What the drawing modules share: the pixel grid, the scenes' numbers as tensors, noise and blending."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from generator.tiny import palette
from generator.tiny.scene import Scene

TEXTURES: Final = 48
TEXTURE_SIZE: Final = 256  # pixels per side of one noise tile


@dataclass(frozen=True)
class Grid:
    """Pixel centres ys [H], xs [W], in picture heights, x from the centre; `pixel` is one pixel's size.

    With a grid of its own for each scene of a batch, ys are [B, H] and xs [B, W].
    """

    ys: Tensor
    xs: Tensor
    pixel: float

    @staticmethod
    def full(height: int, width: int, device: torch.device | str = "cpu") -> Grid:
        """The grid of a whole picture of height x width pixels."""
        ys = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
        xs = (torch.arange(width, device=device, dtype=torch.float32) + 0.5 - width / 2) / height
        return Grid(ys, xs, 1.0 / height)

    def crop(self, top: int, left: int, height: int, width: int) -> Grid:
        """The part of this grid from (top, left), height x width pixels."""
        return Grid(self.ys[top : top + height], self.xs[left : left + width], self.pixel)

    @staticmethod
    def stack(grids: list[Grid]) -> Grid:
        """One grid per scene of a batch, all of one size."""
        ys, xs = torch.stack([g.ys for g in grids]), torch.stack([g.xs for g in grids])
        return Grid(ys, xs, grids[0].pixel)


@lru_cache(maxsize=2)
def _textures(device: str) -> Tensor:
    """Smooth tileable noise [TEXTURES, 1, 2 * SIZE, 2 * SIZE], about [0, 1]; fixed by its seed."""
    random = torch.Generator().manual_seed(20)
    total = torch.zeros(TEXTURES, 1, TEXTURE_SIZE, TEXTURE_SIZE)
    for octave in range(3):
        side = 8 << octave
        noise = torch.rand(TEXTURES, 1, side, side, generator=random)
        noise = F.pad(noise, (2, 2, 2, 2), mode="circular")
        scale = TEXTURE_SIZE // side
        grown = F.interpolate(noise, scale_factor=scale, mode="bicubic", align_corners=False)
        total += grown[..., 2 * scale : -2 * scale, 2 * scale : -2 * scale] * 0.45**octave
    total = (total - total.mean((-1, -2), keepdim=True)) / total.std((-1, -2), keepdim=True)
    return (0.5 + 0.2 * total).tile(1, 1, 2, 2).to(device)


def step(edge: Tensor | float, width: Tensor | float) -> Tensor:
    """Smoothstep of edge over [-width, width]: 0 below, 1 above."""
    t = (torch.as_tensor(edge) / width * 0.5 + 0.5).clamp(0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """a where weight is 0, b where it is 1."""
    return a + (b - a) * weight


class Canvas:
    """The scenes' numbers broadcast over [B, T, H, W], their colours over [B, 3, T, H, W]."""

    def __init__(self, scenes: list[Scene], times: Tensor, grid: Grid) -> None:
        device = grid.ys.device
        self.scenes = scenes
        names = scenes[0].numbers
        self._n = {k: torch.stack([torch.from_numpy(s.numbers[k]) for s in scenes]).to(device) for k in names}
        self.device = device
        self.t = times.to(device).view(*times.shape[:-1] or (1,), -1, 1, 1)
        self.pixel = grid.pixel
        y, x = grid.ys[..., :, None], grid.xs[..., None, :]
        y, x = y.view(-1, 1, *y.shape[-2:]), x.view(-1, 1, *x.shape[-2:])
        shape = (len(scenes), self.t.shape[1], y.shape[2], x.shape[3])
        self.y, self.x = y.expand(shape), x.expand(shape)

    def n(self, name: str, index: int = 0) -> Tensor:
        """One number per scene [B, 1, 1, 1]."""
        return self._n[name][:, index].view(-1, 1, 1, 1)

    def vector(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A scene's numbers [B, *shape]."""
        return self._n[name].view(len(self.scenes), *shape)

    def colour(self, rows: list[palette.Colour]) -> Tensor:
        """One colour per scene [B, 3, 1, 1, 1]."""
        return torch.tensor(rows, device=self.device).view(-1, 3, 1, 1, 1)

    def flag(self, values: list[bool]) -> Tensor:
        """One yes or no per scene [B, 1, 1, 1], as 1 or 0."""
        return torch.tensor(values, device=self.device, dtype=torch.float32).view(-1, 1, 1, 1)

    def noise(self, u: Tensor, v: Tensor, which: int = 0) -> Tensor:
        """The scene's tileable noise at u, v (one tile per unit)."""
        bank = _textures(str(self.device))
        chosen = bank[(self._n["texture"][:, which].long() % TEXTURES)]
        b, t, h, w = u.shape
        place = torch.stack((u.remainder(1.0), v.remainder(1.0)), -1) + 2.0 / TEXTURE_SIZE
        sampled = F.grid_sample(
            chosen, (place - 1.0).reshape(b, t * h, w, 2), mode="bilinear", align_corners=False
        )
        return sampled.view(b, t, h, w)

    def lens(self, parallax: float) -> tuple[Tensor, Tensor]:
        """x offset and magnification of a layer: near layers move more."""
        return self.n("pan") * parallax * self.t, 1 + self.n("zoom") * (0.35 + parallax) * self.t

    def sky_colours(self) -> list[Tensor]:
        """The columns of palette.SKY [B, 3, 1, 1, 1], with the scene's own slight tint."""
        jitter = 1 + 0.03 * self.vector("hue", (3, 1, 1, 1))
        stops = [palette.SKY[s.attributes.time] for s in self.scenes]
        return [self.colour([row[i] for row in stops]) * jitter for i in range(len(stops[0]))]

    def daylight(self) -> Tensor:
        """How much of their own colour things keep [B, 3, 1, 1, 1]."""
        return self.colour([(palette.DAYLIGHT[s.attributes.time],) * 3 for s in self.scenes])

    def lighting(self) -> Tensor:
        """The light that falls on things [B, 3, 1, 1, 1]."""
        ambient, daylight = self.sky_colours()[5], self.daylight()
        return mix(ambient, torch.ones_like(ambient), daylight * 0.7) * (0.5 + 0.5 * daylight)
