"""Renders scenes: a batch of clips at any pixel grid, on any device, as a pure function of the scenes.

Everything is a function of position and time, so a crop, a low-resolution clip and a full clip of one scene
agree. Edges are blended over one pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from generator.tiny.canvas import Canvas, Grid, mix, step
from generator.tiny.land import draw_ridges, find_horizon
from generator.tiny.objects import draw_balloon, draw_birds, draw_boat
from generator.tiny.scene import RIDGES, Scene
from generator.tiny.sky import draw_mist, draw_sky
from generator.tiny.water import draw_water, make_waves

__all__ = ["Grid", "render"]


def render(scenes: list[Scene], times: Tensor, grid: Grid, *, objects: bool = True) -> Tensor:
    """Clips [B, T, 3, H, W], float32 sRGB in [0, 1], of the scenes at `times` [T] or [B, T] seconds.

    Without `objects` there is no balloon, boat or bird, and of the sun or moon only glow and reflection.

    Raises:
        ValueError: no scene, or no time.
    """
    if not scenes or times.numel() == 0:
        raise ValueError("render: at least one scene and one time are needed; pass both")
    b = Canvas(scenes, times, grid)
    seen = [s.attributes for s in scenes]
    meadow = b.flag([a.surface == "meadow" for a in seen])
    horizon = find_horizon(b)
    depth = ((b.y - horizon) / (1 - horizon)).clamp(0, 1)
    wave, crest = make_waves(b, depth)
    stir = b.flag([a.surface == "sea" for a in seen]) * 1.2 + 0.6
    mirrored = horizon - (b.y - horizon) * 0.85 + (wave - 0.5) * stir * (0.015 + 0.16 * depth)
    is_water = step(b.y - horizon, b.pixel) * (1 - meadow)
    y_seen = torch.where(is_water > 0.5, mirrored, b.y)
    world = draw_sky(b, y_seen, torch.ones_like(is_water) if objects else is_water)
    world = draw_ridges(b, world, y_seen, horizon, range(3))
    world = draw_mist(b, world, y_seen, horizon)
    world = mix(world, draw_water(b, world, depth, wave, crest), is_water.unsqueeze(1))
    if bool(meadow.any()):
        fields = draw_ridges(b, world, b.y, horizon, range(3, RIDGES))
        world = mix(world, fields, meadow.unsqueeze(1))
    if objects:
        world = _objects(b, world, horizon)
    world = world * (1 - 0.10 * ((b.x / 0.9) ** 2 + ((b.y - 0.5) / 0.9) ** 2)).unsqueeze(1)
    return world.clamp(0, 1).transpose(1, 2)


def _objects(b: Canvas, world: Tensor, horizon: Tensor) -> Tensor:
    seen = [s.attributes for s in b.scenes]
    if any(a.boat for a in seen):
        world = draw_boat(b, world, horizon)
    if any(a.birds for a in seen):
        world = draw_birds(b, world)
    if any(a.balloon != "none" for a in seen):
        world = draw_balloon(b, world)
    return world
