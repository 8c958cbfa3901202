"""Renders scenes: a batch of clips at any pixel grid, on any device, as a pure function of the scenes.

Everything is a function of position and time, so a crop, a low-resolution clip and a full clip of one scene agree.
Edges are blended over one pixel. Water is the mirrored world, stirred by waves, under a film of its own colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from generator.tiny import palette
from generator.tiny.scene import BIRDS, RIDGES, Scene

TEXTURES: Final = 48
TEXTURE_SIZE: Final = 256
PARALLAX: Final = (
    0.12,
    0.28,
    0.5,
    0.7,
    1.0,
    1.4,
)  # of the ridges, far to near; the water moves with the last


@dataclass(frozen=True)
class Grid:
    """Pixel centres ys [H], xs [W], in picture heights, x from the centre; `pixel` is the size of one pixel."""

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


@lru_cache(maxsize=2)
def _textures(device: str) -> Tensor:
    """Smooth tileable noise [TEXTURES, 1, 2 * SIZE, 2 * SIZE], mean 0.5, about [0, 1]; fixed for ever by its seed."""
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


def _step(edge: Tensor | float, width: Tensor | float) -> Tensor:
    """Smoothstep of edge over [-width, width]: 0 below, 1 above."""
    t = (torch.as_tensor(edge) / width * 0.5 + 0.5).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _mix(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    return a + (b - a) * weight


class _Batch:
    """The scenes' numbers as tensors that broadcast over [B, T, H, W], and their colours over [B, 3, T, H, W]."""

    def __init__(self, scenes: list[Scene], times: Tensor, grid: Grid) -> None:
        device = grid.ys.device
        self.scenes = scenes
        names = scenes[0].numbers
        self._n = {k: torch.stack([torch.from_numpy(s.numbers[k]) for s in scenes]).to(device) for k in names}
        self.device = device
        self.t = times.to(device).view(1, -1, 1, 1)
        self.pixel = grid.pixel
        y, x = grid.ys.view(1, 1, -1, 1), grid.xs.view(1, 1, 1, -1)
        shape = (len(scenes), self.t.shape[1], grid.ys.numel(), grid.xs.numel())
        self.y, self.x = y.expand(shape), x.expand(shape)

    def n(self, name: str, index: int = 0) -> Tensor:
        return self._n[name][:, index].view(-1, 1, 1, 1)

    def vector(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return self._n[name].view(len(self.scenes), *shape)

    def colour(self, rows: list[palette.Colour]) -> Tensor:
        return torch.tensor(rows, device=self.device).view(-1, 3, 1, 1, 1)

    def flag(self, values: list[bool]) -> Tensor:
        return torch.tensor(values, device=self.device, dtype=torch.float32).view(-1, 1, 1, 1)

    def noise(self, u: Tensor, v: Tensor, which: int = 0) -> Tensor:
        """The scene's tileable noise at u, v (one tile per unit)."""
        bank = _textures(str(self.device))
        chosen = bank[(self._n["texture"][:, which].long() % TEXTURES)]
        b, t, h, w = u.shape
        place = torch.stack((u.remainder(1.0), v.remainder(1.0)), -1) * 1.0 + 2.0 / TEXTURE_SIZE
        sampled = F.grid_sample(
            chosen, (place - 1.0).reshape(b, t * h, w, 2), mode="bilinear", align_corners=False
        )
        return sampled.view(b, t, h, w)

    def lens(self, parallax: float) -> tuple[Tensor, Tensor]:
        """x offset and magnification of a layer: near layers move more."""
        return self.n("pan") * parallax * self.t, 1 + self.n("zoom") * (0.35 + parallax) * self.t


def render(scenes: list[Scene], times: Tensor, grid: Grid) -> Tensor:
    """Clips [B, T, 3, H, W], float32 sRGB in [0, 1], of the scenes at `times` [T] seconds on the grid.

    Raises:
        ValueError: no scene, or no time.
    """
    if not scenes or times.numel() == 0:
        raise ValueError("render: at least one scene and one time are needed; pass both")
    b = _Batch(scenes, times, grid)
    seen = [s.attributes for s in scenes]
    meadow = b.flag([a.surface == "meadow" for a in seen])
    offset, size = b.lens(PARALLAX[1])
    horizon = 0.5 + (b.n("horizon") - 0.5) * size
    depth = ((b.y - horizon) / (1 - horizon)).clamp(0, 1)
    wave, crest = _waves(b, depth)
    stir = b.flag([a.surface == "sea" for a in seen]) * 1.2 + 0.6
    mirrored = horizon - (b.y - horizon) * 0.85 + (wave - 0.5) * stir * (0.015 + 0.16 * depth)
    is_water = _step(b.y - horizon, b.pixel) * (1 - meadow)
    y_seen = torch.where(is_water > 0.5, mirrored, b.y)
    world = _sky(b, y_seen)
    world = _ridges(b, world, y_seen, horizon, range(3))
    world = _mist(b, world, y_seen, horizon)
    world = _mix(world, _water(b, world, depth, wave, crest), is_water.unsqueeze(1))
    if bool(meadow.any()):
        fields = _ridges(b, world, b.y, horizon, range(3, RIDGES))
        world = _mix(world, fields, meadow.unsqueeze(1))
    world = _objects(b, world, horizon)
    world = world * (1 - 0.10 * ((b.x / 0.9) ** 2 + ((b.y - 0.5) / 0.9) ** 2)).unsqueeze(1)
    return world.clamp(0, 1).transpose(1, 2)


def _sky_colours(b: _Batch) -> list[Tensor]:
    jitter = 1 + 0.03 * b.vector("hue", (3, 1, 1, 1))
    stops = [palette.SKY[s.attributes.time] for s in b.scenes]
    return [b.colour([row[i] for row in stops]) * jitter for i in range(len(stops[0]))]


def _sky(b: _Batch, y: Tensor) -> Tensor:
    low, middle, high, glow, disc, _, _ = _sky_colours(b)
    up = ((HORIZON_UP - y) / HORIZON_UP).clamp(0, 1).unsqueeze(1)
    sky = _mix(
        _mix(low, middle, (up * 2.4).clamp(0, 1) ** 0.9), high, ((up - 0.28) / 0.72).clamp(0, 1) ** 0.85
    )
    offset, size = b.lens(0.02)
    dx = (b.x - offset) / size - b.n("light_x")
    dy = y - b.n("light_y")
    seen = b.flag([s.attributes.body != "none" for s in b.scenes])
    misty = b.flag([s.attributes.weather == "misty" for s in b.scenes])
    far = (dx * dx + dy * dy * 1.3).add(1e-8).sqrt()
    weak = b.flag([s.attributes.time in ("night", "noon") for s in b.scenes])
    halo = (0.62 * torch.exp(-far / 0.28) + 0.5 * torch.exp(-((far / 0.12) ** 2))) * (1 - 0.45 * weak)
    sky = _mix(sky, glow, (halo * (0.25 + 0.75 * seen)).clamp(0, 1).unsqueeze(1))
    sky = _clouds(b, sky, y, dx, dy)
    radius = b.n("light_r")
    round_far = (dx * dx + dy * dy).add(1e-8).sqrt()
    inside = _step(radius - round_far, b.pixel * 1.2) * seen * (1 - 0.25 * misty)
    return _mix(sky, disc, inside.unsqueeze(1))


HORIZON_UP: Final = 0.64  # where the sky's gradient begins, in picture heights


def _clouds(b: _Batch, sky: Tensor, y: Tensor, dx: Tensor, dy: Tensor) -> Tensor:
    low, middle, _, glow, disc, ambient, haze = _sky_colours(b)
    cloudy = b.flag([s.attributes.weather == "cloudy" for s in b.scenes])
    if not bool(cloudy.any()):
        return sky
    offset, size = b.lens(0.06)
    x = (b.x - offset) / size - b.n("cloud_speed") * b.t
    stretch = 0.9 + 1.6 * (y / HORIZON_UP).clamp(0, 1)  # clouds flatten towards the horizon
    u, v = x * 0.40 + b.n("offset", 0), (y * stretch) * 0.85 + b.n("offset", 1)
    body = b.noise(u, v)
    toward_light = b.noise(u - 0.012 * torch.tanh(dx / 0.25), v - 0.03)
    level = 0.53 + b.n("cloud_level") - 0.05
    cover = _step(body - level - 0.10, 0.16)
    band = _step(y - 0.02, 0.12) * (1 - _step(y - 0.56, 0.1))
    lit = (0.5 + (body - toward_light) * 3.2).clamp(0, 1)
    near_light = torch.exp(-(dx * dx + dy * dy) / 0.12)
    bright = _mix(
        _mix(ambient, disc, torch.full_like(body, 0.45).unsqueeze(1)), glow, near_light.unsqueeze(1) * 0.7
    )
    shade = _mix(middle, haze, torch.full_like(body, 0.5).unsqueeze(1)) * 0.93
    colour = _mix(shade, bright, lit.unsqueeze(1))
    return _mix(sky, colour, (cover * band * cloudy * 0.92).unsqueeze(1))


def _ridge_line(b: _Batch, k: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Height of ridge k above the horizon, and a slope-like side in [-1, 1], at x."""
    a, f, p = (b.vector(name, (RIDGES, -1))[:, k] for name in ("ridge_a", "ridge_f", "ridge_p"))
    peaks = b.flag([s.attributes.relief == "mountains" for s in b.scenes]) * float(k < 3)
    height, side = torch.zeros_like(x), torch.zeros_like(x)
    for i in range(a.shape[1]):
        amount, turn = a[:, i].view(-1, 1, 1, 1), f[:, i].view(-1, 1, 1, 1) * x + p[:, i].view(-1, 1, 1, 1)
        smooth, sharp = torch.sin(turn), 1 - 2 * torch.sin(turn * 0.8).abs()
        height = height + amount * _mix(smooth, sharp, peaks)
        if i < 4:
            side = side + amount * torch.sin(2 * 0.8 * turn) * float(0.9**i)
    return height, side / a.sum(1).add(1e-6).view(-1, 1, 1, 1)


def _ridges(b: _Batch, world: Tensor, y: Tensor, horizon: Tensor, which: range) -> Tensor:
    _, _, _, glow, disc, ambient, haze = _sky_colours(b)
    seen = [s.attributes for s in b.scenes]
    daylight = b.colour([(palette.DAYLIGHT[a.time],) * 3 for a in seen])
    misty = b.flag([a.weather == "misty" for a in seen])
    peaks = b.flag([a.relief == "mountains" for a in seen])
    for k in which:
        offset, size = b.lens(PARALLAX[k])
        x = (b.x - offset) / size + 0.0
        line, side = _ridge_line(b, k, x)
        base = b.vector("ridge_b", (RIDGES,))[:, k].view(-1, 1, 1, 1)
        top = horizon - (base + line) * size
        below = y - top
        inside = _step(below, b.pixel)
        lit = 0.5 + 0.5 * torch.tanh(
            (side - 0.1 * torch.sin(below * 34 + x * 9)) * -4 * b.n("light_x").sign()
        )
        if k < 3:
            land = b.colour([palette.RELIEF[a.relief] for a in seen])
            fade = (0.66, 0.40, 0.16)[k]
            snow = (
                peaks * float(k == 0) * _step(0.055 - below + 0.03 * side + 0.01 * torch.sin(x * 60), 0.012)
            )
            land = _mix(land.expand_as(world), b.colour([palette.SNOW] * len(seen)), snow.unsqueeze(1) * 0.9)
            land = land * (0.80 + 0.34 * (lit * (0.35 + 0.65 * peaks)).unsqueeze(1))
            foot = (below / 0.16).clamp(0, 1) * (0.5 + 0.3 * misty) + 0.25 * misty
        else:
            land = b.colour([palette.FIELD.get(a.palette, (0.0, 0.0, 0.0)) for a in seen])
            fade = (0.30, 0.12, 0.0)[k - 3]
            crest = torch.exp(-below.clamp(min=0) / 0.05)
            rows = b.noise(x * 0.35 + 0.37 * k, below * 1.6 + b.n("offset", k), 1)
            land = land * (0.72 + 0.40 * crest + 0.40 * (rows - 0.5)).unsqueeze(1) * (1.0, 0.92, 0.8)[k - 3]
            foot = (below / 0.3).clamp(0, 1) * 0.25 * misty + 0.12 * misty * float(5 - k) * 0.8
        lighted = land * _mix(ambient, torch.ones_like(ambient), daylight * 0.6) * (0.5 + 0.5 * daylight)
        warm = torch.exp(-(((b.x - b.n("light_x")) / 0.5) ** 2)).unsqueeze(1)
        air = _mix(haze, _mix(haze, glow, warm * 0.5), torch.full_like(warm, 1.0))
        amount = fade + (1 - fade) * foot
        world = _mix(world, _mix(lighted, air, amount.unsqueeze(1)), inside.unsqueeze(1))
    return world


def _mist(b: _Batch, world: Tensor, y: Tensor, horizon: Tensor) -> Tensor:
    low, _, _, _, _, _, haze = _sky_colours(b)
    misty = b.flag([s.attributes.weather == "misty" for s in b.scenes])
    if not bool(misty.any()):
        return world
    offset, size = b.lens(0.4)
    drift = b.noise((b.x - offset) * 0.3 + 0.02 * b.t + b.n("offset", 2), y * 0.9 + b.n("offset", 3), 1)
    bank = torch.exp(-(((y - horizon + 0.03) / 0.12) ** 2)) * (0.55 + 0.9 * drift)
    veil = torch.exp(-(((y - horizon) / 0.3) ** 2)) * 0.35
    return _mix(
        world,
        _mix(low, haze, torch.full_like(y, 0.4).unsqueeze(1)),
        ((bank + veil).clamp(0, 0.93) * misty).unsqueeze(1),
    )


def _waves(b: _Batch, depth: Tensor) -> tuple[Tensor, Tensor]:
    """Wave height and crest light, both about [0, 1]: two noises that slide over each other in perspective."""
    near = 0.16 + 0.84 * depth
    offset, size = b.lens(PARALLAX[4])
    u = (b.x - offset * near) / size / near * 0.20
    v = torch.log(near) * -0.95
    one = b.noise(u + 0.012 * b.t + b.n("offset", 4), v + 0.018 * b.t + b.n("offset", 5))
    two = b.noise(u * 1.35 - 0.014 * b.t + b.n("offset", 6), v * 1.3 + 0.012 * b.t + b.n("offset", 7), 1)
    wave = 0.5 * (one + two)
    return wave, _step(wave - 0.60, 0.09) * (0.25 + 0.75 * depth)


def _water(b: _Batch, mirror: Tensor, depth: Tensor, wave: Tensor, crest: Tensor) -> Tensor:
    low, _, _, glow, disc, ambient, haze = _sky_colours(b)
    seen = [s.attributes for s in b.scenes]
    sea = b.flag([a.surface == "sea" for a in seen])
    daylight = b.colour([(palette.DAYLIGHT[a.time],) * 3 for a in seen])
    own = b.colour([palette.WATER.get(a.palette, (0.0, 0.0, 0.0)) for a in seen])
    own = own * _mix(ambient, torch.ones_like(ambient), daylight * 0.5 + 0.35) * (0.48 + 0.52 * daylight)
    own = own * (1.08 - 0.34 * depth + 0.5 * (wave - 0.5)).unsqueeze(1)
    film = (0.42 + 0.42 * depth**0.8) * sea + (0.46 + 0.30 * depth) * (1 - sea)
    water = _mix(mirror, own, (film + 0.25 * (wave - 0.5)).clamp(0, 0.92).unsqueeze(1))
    offset, size = b.lens(0.02)
    dx = (b.x - offset) / size - b.n("light_x")
    lit = b.flag([a.body != "none" for a in seen])
    column = torch.exp(-((dx / (0.05 + 0.16 * depth)) ** 2)) * lit
    sparkle = _step(wave - 0.53, 0.05) * 0.85 + 0.12
    water = _mix(
        water,
        _mix(glow, disc, torch.full_like(depth, 0.55).unsqueeze(1)),
        (column * sparkle * (0.85 - 0.35 * depth)).unsqueeze(1),
    )
    shine = _mix(low, disc, torch.full_like(depth, 0.4).unsqueeze(1))
    return _mix(water, shine, (crest * (0.20 + 0.12 * sea)).unsqueeze(1))


def _objects(b: _Batch, world: Tensor, horizon: Tensor) -> Tensor:
    seen = [s.attributes for s in b.scenes]
    if any(a.boat for a in seen):
        world = _boat(b, world, horizon)
    if any(a.birds for a in seen):
        world = _birds(b, world)
    if any(a.balloon != "none" for a in seen):
        world = _balloon(b, world)
    return world


def _lighting(b: _Batch) -> Tensor:
    ambient = _sky_colours(b)[5]
    daylight = b.colour([(palette.DAYLIGHT[s.attributes.time],) * 3 for s in b.scenes])
    return _mix(ambient, torch.ones_like(ambient), daylight * 0.7) * (0.5 + 0.5 * daylight)


def _balloon(b: _Batch, world: Tensor) -> Tensor:
    offset, size = b.lens(0.6)
    r = b.n("balloon_r") * size
    cx = b.n("balloon_x") * size + offset + b.n("balloon_v") * b.t
    cy = 0.5 + (b.n("balloon_y") - 0.5) * size - 0.006 * b.t
    u, v = (b.x - cx) / r, (b.y - cy) / r
    edge = b.pixel / r
    cap = (1 - v.clamp(-1, 0.35) ** 2).clamp(min=0).sqrt()
    taper = 0.937 - 0.66 * ((v - 0.35) / 0.95).clamp(0, 1) ** 1.12
    half = torch.where(v < 0.35, cap, taper)
    circle = _step(1 - (u * u + v * v).add(1e-8).sqrt(), edge)
    lower = _step(half - u.abs(), edge * 1.3) * _step(v - 0.35, edge) * _step(1.3 - v, edge)
    envelope = torch.maximum(circle * (1 - _step(v - 0.35, edge)), lower)
    around = (u / half.clamp(min=0.05)).clamp(-1, 1)
    gores = torch.cos(torch.asin(around * 0.999) * 6)
    light = 0.84 + 0.26 * around * b.n("light_x").sign() - 0.20 * v.clamp(-1, 1) + 0.09 * gores
    own = b.colour([palette.BALLOON[s.attributes.balloon] for s in b.scenes])
    night = b.flag([s.attributes.time in ("night", "dusk") for s in b.scenes])
    lamp = torch.exp(-((u / 0.7) ** 2 + ((v - 0.75) / 0.8) ** 2)) * night
    colour = (
        own
        * _mix(_lighting(b), torch.ones_like(own), torch.full_like(own, 0.35))
        * light.clamp(0.3, 1.25).unsqueeze(1)
    )
    band = _step(0.1 - (v - 0.1).abs(), edge * 1.5)
    colour = _mix(
        colour,
        torch.ones_like(own) * _lighting(b) * light.clamp(0.3, 1.1).unsqueeze(1),
        band.unsqueeze(1) * 0.55,
    )
    colour = colour + lamp.unsqueeze(1) * b.colour([(0.42, 0.26, 0.08)] * len(b.scenes))
    world = _mix(world, colour, (envelope * b.n("balloon")).unsqueeze(1))
    basket = _step(0.2 - u.abs(), edge) * _step(0.13 - (v - 1.68).abs(), edge)
    ropes = _step(0.022 - (u.abs() - 0.21 + 0.03 * (v - 1.3)).abs(), edge * 1.2) * _step(
        0.14 - (v - 1.43).abs(), edge
    )
    wood = b.colour([palette.HULL] * len(b.scenes)) * _lighting(b)
    return _mix(world, wood, (torch.maximum(basket, ropes * 0.8) * b.n("balloon")).unsqueeze(1))


def _boat(b: _Batch, world: Tensor, horizon: Tensor) -> Tensor:
    offset, size = b.lens(0.7)
    r = b.n("boat_r") * size
    cx = b.n("boat_x") * size + offset + b.n("boat_v") * b.t
    water_line = horizon + b.n("boat_y") * size
    heading = b.n("boat_v").sign()
    sway = 0.03 * torch.sin(b.t * 1.6 + b.n("offset", 0) * 6)
    light = _lighting(b)
    edge = b.pixel / r
    for mirrored in (True, False):
        v = (b.y - water_line) / r
        v = -v / 0.8 if mirrored else v
        u = (b.x - cx) / r * heading + v * sway
        above = -v
        hull = (
            _step(above - 0.0, edge)
            * _step(0.2 + 0.1 * u * u - above, edge)
            * _step(0.5 + 0.55 * above - u.abs(), edge)
        )
        main_sail = _step(u + 0.42 - 0.10 * (above - 0.28), edge) * _step(0.02 - u, edge)
        main_sail = main_sail * _step(above - 0.28, edge) * _step(1.55 - above + (u - 0.02) * 2.4, edge * 2)
        jib = (
            _step(u - 0.07, edge)
            * _step(above - 0.3, edge)
            * _step(1.25 - above - (u - 0.07) * 2.1, edge * 2)
        )
        mast = _step(0.016 - (u - 0.045).abs(), edge) * _step(above - 0.2, edge) * _step(1.6 - above, edge)
        strength = b.n("boat") * (0.34 if mirrored else 1.0)
        sail = (
            b.colour([palette.SAIL] * len(b.scenes))
            * (0.5 + 0.5 * light)
            * (0.9 + 0.25 * u).clamp(0.6, 1.1).unsqueeze(1)
        )
        wood = b.colour([palette.HULL] * len(b.scenes)) * light
        world = _mix(world, wood, (torch.maximum(hull, mast) * strength).unsqueeze(1))
        world = _mix(world, sail, (torch.maximum(main_sail, jib) * strength).unsqueeze(1))
    return world


def _birds(b: _Batch, world: Tensor) -> Tensor:
    offset, size = b.lens(0.3)
    middle, dark = _sky_colours(b)[2], torch.zeros_like(b.x)
    for i in range(BIRDS):
        r = b.n("bird_r", i) * size
        u = (b.x - b.n("bird_x", i) * size - offset - b.n("bird_v") * b.t) / r
        v = (b.y - b.n("bird_y", i) + 0.004 * b.t) / r
        wing = u.abs()
        lift = 0.42 + 0.1 * torch.sin(b.t * 1.5 + 2.1 * i)
        curve = lift * (1.25 * wing * wing - 1.55 * wing) + 0.1
        thick = 0.15 * (1.05 - wing).clamp(0, 1) + 0.035
        bird = _step(thick - (v - curve).abs(), b.pixel / r * 1.2) * _step(1.0 - wing, b.pixel / r * 2)
        dark = torch.maximum(dark, bird)
    return _mix(world, middle * 0.22, (dark * b.n("birds") * 0.9).unsqueeze(1))
