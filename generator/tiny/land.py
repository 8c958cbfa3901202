"""Ridges: far hills and mountains, and the fields of a meadow."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from generator.tiny import palette
from generator.tiny.canvas import Canvas, mix, step
from generator.tiny.scene import RIDGES

PARALLAX: Final = (0.12, 0.28, 0.5, 0.7, 1.0, 1.4)  # how far each ridge moves with the camera, far to near


def _ridge_line(b: Canvas, k: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Height of ridge k above the horizon, and a slope-like side in [-1, 1], at x."""
    a, f, p = (b.vector(name, (RIDGES, -1))[:, k] for name in ("ridge_a", "ridge_f", "ridge_p"))
    peaks = b.flag([s.attributes.relief == "mountains" for s in b.scenes]) * float(k < 3)
    height, side = torch.zeros_like(x), torch.zeros_like(x)
    for i in range(a.shape[1]):
        amount, turn = a[:, i].view(-1, 1, 1, 1), f[:, i].view(-1, 1, 1, 1) * x + p[:, i].view(-1, 1, 1, 1)
        smooth, sharp = torch.sin(turn), 1 - 2 * torch.sin(turn * 0.8).abs()
        height = height + amount * mix(smooth, sharp, peaks)
        if i < 4:
            side = side + amount * torch.sin(2 * 0.8 * turn) * float(0.9**i)
    return height, side / a.sum(1).add(1e-6).view(-1, 1, 1, 1)


def place_ridge(b: Canvas, k: int, y: Tensor, horizon: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Ridge k seen from each point: its own x, how far the point lies below its line, and its side."""
    offset, size = b.lens(PARALLAX[k])
    x = (b.x - offset) / size
    line, side = _ridge_line(b, k, x)
    base = b.vector("ridge_b", (RIDGES,))[:, k].view(-1, 1, 1, 1)
    return x, y - (horizon - (base + line) * size), side


def find_horizon(b: Canvas) -> Tensor:
    """The horizon's y; the camera's approach moves it."""
    _, size = b.lens(PARALLAX[1])
    return 0.5 + (b.n("horizon") - 0.5) * size


def draw_ridges(b: Canvas, world: Tensor, y: Tensor, horizon: Tensor, which: range) -> Tensor:
    """Paints the ridges `which`, far ones first, over the world; y may be mirrored for water."""
    _, _, _, glow, _, ambient, haze = b.sky_colours()
    daylight = b.daylight()
    warm = torch.exp(-(((b.x - b.n("light_x")) / 0.5) ** 2)).unsqueeze(1)
    air = mix(haze, glow, warm * 0.5)
    for k in which:
        x, below, side = place_ridge(b, k, y, horizon)
        land, fog = _relief(b, k, x, below, side) if k < 3 else _field(b, k, x, below)
        lighted = land * mix(ambient, torch.ones_like(ambient), daylight * 0.6) * (0.5 + 0.5 * daylight)
        ridge = mix(lighted, air, fog.unsqueeze(1))
        world = mix(world, ridge, step(below, b.pixel).unsqueeze(1))
    return world


def _relief(b: Canvas, k: int, x: Tensor, below: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Colour and share of air of a hill or mountain ridge; the farthest mountains carry snow."""
    seen = [s.attributes for s in b.scenes]
    misty = b.flag([a.weather == "misty" for a in seen])
    peaks = b.flag([a.relief == "mountains" for a in seen])
    folds = side - 0.1 * torch.sin(below * 34 + x * 9)
    lit = 0.5 + 0.5 * torch.tanh(folds * -4 * b.n("light_x").sign())
    snow_line = 0.055 - below + 0.03 * side + 0.01 * torch.sin(x * 60)
    snow = peaks * float(k == 0) * step(snow_line, 0.012)
    rock = b.colour([palette.RELIEF[a.relief] for a in seen])
    land = mix(rock, b.colour([palette.SNOW] * len(seen)), snow.unsqueeze(1) * 0.9)
    land = land * (0.80 + 0.34 * (lit * (0.35 + 0.65 * peaks)).unsqueeze(1))
    fade = (0.66, 0.40, 0.16)[k]
    foot = (below / 0.16).clamp(0, 1) * (0.5 + 0.3 * misty) + 0.25 * misty
    return land, fade + (1 - fade) * foot


def _field(b: Canvas, k: int, x: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
    """Colour and share of air of a meadow's ridge, lighter at its crest."""
    seen = [s.attributes for s in b.scenes]
    misty = b.flag([a.weather == "misty" for a in seen])
    own = b.colour([palette.FIELD.get(a.palette, (0.0, 0.0, 0.0)) for a in seen])
    crest = torch.exp(-below.clamp(min=0) / 0.05)
    rows = b.noise(x * 0.35 + 0.37 * k, below * 1.6 + b.n("offset", k), 1)
    land = own * (0.72 + 0.40 * crest + 0.40 * (rows - 0.5)).unsqueeze(1) * (1.0, 0.92, 0.8)[k - 3]
    fade = (0.30, 0.12, 0.0)[k - 3]
    foot = (below / 0.3).clamp(0, 1) * 0.25 * misty + 0.096 * (5 - k) * misty
    return land, fade + (1 - fade) * foot
