"""The sky with its sun or moon, clouds, and mist over the horizon."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from generator.tiny.canvas import Canvas, mix, step

HORIZON_UP: Final = 0.64  # where the sky's gradient begins, in picture heights


def place_light(b: Canvas, y: Tensor) -> tuple[Tensor, Tensor]:
    """Each point as (right, down) of the sun or moon, in picture heights."""
    offset, size = b.lens(0.02)
    return (b.x - offset) / size - b.n("light_x"), y - b.n("light_y")


def draw_sky(b: Canvas, y: Tensor, disc_shown: Tensor) -> Tensor:
    """Gradient, glow, clouds and disc [B, 3, T, H, W]; y [B, T, H, W] may be mirrored for water.

    `disc_shown` [B, T, H, W] is 1 where the disc may be drawn; its glow is drawn everywhere.
    """
    low, middle, high, glow, disc, _, _ = b.sky_colours()
    up = ((HORIZON_UP - y) / HORIZON_UP).clamp(0, 1).unsqueeze(1)
    sky = mix(mix(low, middle, (up * 2.4).clamp(0, 1) ** 0.9), high, ((up - 0.28) / 0.72).clamp(0, 1) ** 0.85)
    dx, dy = place_light(b, y)
    seen = b.flag([s.attributes.body != "none" for s in b.scenes])
    misty = b.flag([s.attributes.weather == "misty" for s in b.scenes])
    far = (dx * dx + dy * dy * 1.3).add(1e-8).sqrt()
    weak = b.flag([s.attributes.time in ("night", "noon") for s in b.scenes])
    halo = (0.62 * torch.exp(-far / 0.28) + 0.5 * torch.exp(-((far / 0.12) ** 2))) * (1 - 0.45 * weak)
    sky = mix(sky, glow, (halo * (0.25 + 0.75 * seen)).clamp(0, 1).unsqueeze(1))
    sky = _draw_clouds(b, sky, y, dx, dy)
    radius = b.n("light_r")
    round_far = (dx * dx + dy * dy).add(1e-8).sqrt()
    inside = step(radius - round_far, b.pixel * 1.2) * seen * disc_shown * (1 - 0.25 * misty)
    return mix(sky, disc, inside.unsqueeze(1))


def _draw_clouds(b: Canvas, sky: Tensor, y: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    _, middle, _, glow, disc, ambient, haze = b.sky_colours()
    cloudy = b.flag([s.attributes.weather == "cloudy" for s in b.scenes])
    if not bool(cloudy.any()):
        return sky
    offset, size = b.lens(0.06)
    x = (b.x - offset) / size - b.n("cloud_speed") * b.t
    stretch = 0.9 + 1.6 * (y / HORIZON_UP).clamp(0, 1)  # clouds flatten towards the horizon
    u, v = x * 0.40 + b.n("offset", 0), (y * stretch) * 0.85 + b.n("offset", 1)
    body = b.noise(u, v)
    toward_light = b.noise(u - 0.012 * torch.tanh(dx / 0.25), v - 0.03)
    cover = step(body - 0.58 - b.n("cloud_level"), 0.16)
    band = step(y - 0.02, 0.12) * (1 - step(y - 0.56, 0.1))
    lit = (0.5 + (body - toward_light) * 3.2).clamp(0, 1)
    near_light = torch.exp(-(dx * dx + dy * dy) / 0.12)
    bright = mix(
        mix(ambient, disc, torch.full_like(body, 0.45).unsqueeze(1)), glow, near_light.unsqueeze(1) * 0.7
    )
    shade = mix(middle, haze, torch.full_like(body, 0.5).unsqueeze(1)) * 0.93
    colour = mix(shade, bright, lit.unsqueeze(1))
    return mix(sky, colour, (cover * band * cloudy * 0.92).unsqueeze(1))


def draw_mist(b: Canvas, world: Tensor, y: Tensor, horizon: Tensor) -> Tensor:
    """A drifting bank of mist over the horizon, in misty weather."""
    low, _, _, _, _, _, haze = b.sky_colours()
    misty = b.flag([s.attributes.weather == "misty" for s in b.scenes])
    if not bool(misty.any()):
        return world
    offset, _ = b.lens(0.4)
    drift = b.noise((b.x - offset) * 0.3 + 0.02 * b.t + b.n("offset", 2), y * 0.9 + b.n("offset", 3), 1)
    bank = torch.exp(-(((y - horizon + 0.03) / 0.12) ** 2)) * (0.55 + 0.9 * drift)
    veil = torch.exp(-(((y - horizon) / 0.3) ** 2)) * 0.35
    return mix(
        world,
        mix(low, haze, torch.full_like(y, 0.4).unsqueeze(1)),
        ((bank + veil).clamp(0, 0.93) * misty).unsqueeze(1),
    )
