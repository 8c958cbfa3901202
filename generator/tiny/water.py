"""Water: the mirrored world, stirred by waves, under a film of its own colour."""

from __future__ import annotations

import torch
from torch import Tensor

from generator.tiny import palette
from generator.tiny.canvas import Canvas, mix, step
from generator.tiny.land import PARALLAX


def make_waves(b: Canvas, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Wave height and crest light, about [0, 1]: two noises sliding over each other in perspective."""
    near = 0.16 + 0.84 * depth
    offset, size = b.lens(PARALLAX[4])
    u = (b.x - offset * near) / size / near * 0.20
    v = torch.log(near) * -0.95
    one = b.noise(u + 0.012 * b.t + b.n("offset", 4), v + 0.018 * b.t + b.n("offset", 5))
    two = b.noise(u * 1.35 - 0.014 * b.t + b.n("offset", 6), v * 1.3 + 0.012 * b.t + b.n("offset", 7), 1)
    wave = 0.5 * (one + two)
    return wave, step(wave - 0.60, 0.09) * (0.25 + 0.75 * depth)


def draw_water(b: Canvas, mirror: Tensor, depth: Tensor, wave: Tensor, crest: Tensor) -> Tensor:
    """The mirrored world under a film of the water's own colour, with glitter and bright crests."""
    low, _, _, glow, disc, ambient, _ = b.sky_colours()
    seen = [s.attributes for s in b.scenes]
    sea = b.flag([a.surface == "sea" for a in seen])
    daylight = b.daylight()
    own = b.colour([palette.WATER.get(a.palette, (0.0, 0.0, 0.0)) for a in seen])
    own = own * mix(ambient, torch.ones_like(ambient), daylight * 0.5 + 0.35) * (0.48 + 0.52 * daylight)
    own = own * (1.08 - 0.34 * depth + 0.5 * (wave - 0.5)).unsqueeze(1)
    film = (0.42 + 0.42 * depth**0.8) * sea + (0.46 + 0.30 * depth) * (1 - sea)
    water = mix(mirror, own, (film + 0.25 * (wave - 0.5)).clamp(0, 0.92).unsqueeze(1))
    offset, size = b.lens(0.02)
    dx = (b.x - offset) / size - b.n("light_x")
    lit = b.flag([a.body != "none" for a in seen])
    column = torch.exp(-((dx / (0.05 + 0.16 * depth)) ** 2)) * lit
    sparkle = step(wave - 0.53, 0.05) * 0.85 + 0.12
    water = mix(
        water,
        mix(glow, disc, torch.full_like(depth, 0.55).unsqueeze(1)),
        (column * sparkle * (0.85 - 0.35 * depth)).unsqueeze(1),
    )
    shine = mix(low, disc, torch.full_like(depth, 0.4).unsqueeze(1))
    return mix(water, shine, (crest * (0.20 + 0.12 * sea)).unsqueeze(1))
