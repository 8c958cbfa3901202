"""The geometry of a scene as smooth fields, one value per latent cell: where edges run and objects stand.

An edge is a signed distance whose zero crossing is the edge. An object is its own coordinates, in its own
radii, under a window that is 1 on the object and falls to 0 around it. Both vary slowly from cell to cell, so
that a coarse grid holds them to a fraction of a pixel.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from generator.tiny import palette
from generator.tiny.canvas import Canvas, Grid
from generator.tiny.land import find_horizon, place_ridge
from generator.tiny.objects import place_balloon, place_bird, place_boat
from generator.tiny.scene import BIRDS, Scene
from generator.tiny.sky import place_light

EDGES: Final = 6  # three far ridges, then the horizon or a meadow's first ridge, then its two nearer ridges
FIELDS: Final = EDGES + 8  # a disc, 2 coordinates, windows of 3 kinds, 2 for the balloon's colour
WINDOWS: Final = slice(EDGES + 3, EDGES + 6)  # of balloon, boat and birds
SOFTNESS: Final = 2.0  # cells over which a distance saturates
REACH: Final = 2.2  # of an object's window, in the object's radii
GAIN: Final = 1.6  # objects fill few cells: their fields weigh more
CENTRES: Final = (0.4, 0.15)  # of balloon and boat, downwards and upwards of their own origins
BALLOON_TINT: Final = {
    name: (rgb[0] - rgb[2], 2 * rgb[1] - 1) for name, rgb in palette.BALLOON.items()
}  # two numbers tell the balloon's colours apart


def draw_fields(scenes: list[Scene], times: Tensor, cells: Grid) -> Tensor:
    """Fields [B, FIELDS, T, h, w], about [-2, 2], at the centres of the cells; `times` [T] in seconds."""
    b = Canvas(scenes, times, cells)
    horizon = find_horizon(b)
    fields = [*_edges(b, horizon), _disc(b), *_objects(b, horizon)]
    return torch.stack([field.expand(b.x.shape) for field in fields], 1)


def _squash(b: Canvas, distance: Tensor) -> Tensor:
    return torch.tanh(distance / (SOFTNESS * b.pixel))


def _edges(b: Canvas, horizon: Tensor) -> list[Tensor]:
    """-1 far above an edge, 1 far below; an edge that is not there is -1 everywhere."""
    meadow = b.flag([s.attributes.surface == "meadow" for s in b.scenes])
    far = [_squash(b, place_ridge(b, k, b.y, horizon)[1]) for k in range(3)]
    near = [_squash(b, place_ridge(b, k, b.y, horizon)[1]) for k in range(3, 6)]
    first = torch.lerp(_squash(b, b.y - horizon), near[0], meadow)
    return [*far, first, *(torch.lerp(-torch.ones_like(field), field, meadow) for field in near[1:])]


def _disc(b: Canvas) -> Tensor:
    """Positive inside the sun or moon; -1 far from it and where there is none."""
    dx, dy = place_light(b, b.y)
    seen = b.flag([s.attributes.body != "none" for s in b.scenes])
    inside = _squash(b, b.n("light_r") - (dx * dx + dy * dy).add(1e-8).sqrt())
    return GAIN * torch.lerp(-torch.ones_like(inside), inside, seen)


def _window(u: Tensor, v: Tensor) -> Tensor:
    return torch.exp(-(((u * u + v * v) / REACH**2) ** 2))


def _objects(b: Canvas, horizon: Tensor) -> list[Tensor]:
    """Coordinates (u, v), the windows of balloon, boat and birds, and the balloon's colour, all windowed.

    Where windows overlap, the stronger one takes over smoothly.
    """
    u, v, _ = place_balloon(b)
    places = [(u * b.n("light_x").sign(), v - CENTRES[0], b.n("balloon"))]
    u, v, _ = place_boat(b, horizon)
    places.append((u, CENTRES[1] - v, b.n("boat")))
    for i in range(BIRDS):
        u, v, _ = place_bird(b, i)
        places.append((u, v, b.n("birds")))
    windows = [_window(u, v) * there for u, v, there in places]
    total = torch.stack(windows).sum(0) + 1e-6
    shares = [window * window / total for window in windows]
    along = torch.stack([share * u for share, (u, _, _) in zip(shares, places, strict=True)]).sum(0)
    down = torch.stack([share * v for share, (_, v, _) in zip(shares, places, strict=True)]).sum(0)
    tints = torch.tensor([BALLOON_TINT[s.attributes.balloon] for s in b.scenes], device=b.device)
    tint = [shares[0] * tints[:, i].view(-1, 1, 1, 1) for i in range(2)]
    birds = torch.stack(shares[2:]).sum(0)
    return [GAIN * field for field in (along, down, shares[0], shares[1], birds, *tint)]
