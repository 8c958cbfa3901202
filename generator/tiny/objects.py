"""Things a caption can ask for: a balloon, a boat, birds."""

from __future__ import annotations

import torch
from torch import Tensor

from generator.tiny import palette
from generator.tiny.canvas import Canvas, mix, step
from generator.tiny.scene import BIRDS


def place_balloon(b: Canvas) -> tuple[Tensor, Tensor, Tensor]:
    """Each point as (right, down) of the envelope's centre in balloon radii, and the radius."""
    offset, size = b.lens(0.6)
    r = b.n("balloon_r") * size
    cx = b.n("balloon_x") * size + offset + b.n("balloon_v") * b.t
    cy = 0.5 + (b.n("balloon_y") - 0.5) * size - 0.006 * b.t
    return (b.x - cx) / r, (b.y - cy) / r, r


def place_boat(b: Canvas, horizon: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each point as (forwards, above the water line) of the boat in boat lengths, and the length."""
    offset, size = b.lens(0.7)
    r = b.n("boat_r") * size
    cx = b.n("boat_x") * size + offset + b.n("boat_v") * b.t
    water_line = horizon + b.n("boat_y") * size
    return (b.x - cx) / r * b.n("boat_v").sign(), (water_line - b.y) / r, r


def place_bird(b: Canvas, i: int) -> tuple[Tensor, Tensor, Tensor]:
    """Each point as (right, down) of bird i in wing lengths, and the wing's length."""
    offset, size = b.lens(0.3)
    r = b.n("bird_r", i) * size
    u = (b.x - b.n("bird_x", i) * size - offset - b.n("bird_v") * b.t) / r
    return u, (b.y - b.n("bird_y", i) + 0.004 * b.t) / r, r


def draw_balloon(b: Canvas, world: Tensor) -> Tensor:
    """A hot-air balloon: a round cap, a cone, gores, a pale band; lit from within at dusk and night."""
    u, v, r = place_balloon(b)
    edge = b.pixel / r
    envelope, half = _envelope(u, v, edge)
    world = mix(world, _cloth(b, u, v, half, edge), (envelope * b.n("balloon")).unsqueeze(1))
    basket = step(0.2 - u.abs(), edge) * step(0.13 - (v - 1.68).abs(), edge)
    ropes = step(0.022 - (u.abs() - 0.21 + 0.03 * (v - 1.3)).abs(), edge * 1.2)
    ropes = ropes * step(0.14 - (v - 1.43).abs(), edge)
    wood = b.colour([palette.HULL] * len(b.scenes)) * b.lighting()
    return mix(world, wood, (torch.maximum(basket, ropes * 0.8) * b.n("balloon")).unsqueeze(1))


def _envelope(u: Tensor, v: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
    """Cover and half width of the envelope, in balloon radii."""
    cap = (1 - v.clamp(-1, 0.35) ** 2).clamp(min=0).sqrt()
    taper = 0.937 - 0.66 * ((v - 0.35) / 0.95).clamp(0, 1) ** 1.12
    half = torch.where(v < 0.35, cap, taper)
    circle = step(1 - (u * u + v * v).add(1e-8).sqrt(), edge)
    lower = step(half - u.abs(), edge * 1.3) * step(v - 0.35, edge) * step(1.3 - v, edge)
    return torch.maximum(circle * (1 - step(v - 0.35, edge)), lower), half


def _cloth(b: Canvas, u: Tensor, v: Tensor, half: Tensor, edge: Tensor) -> Tensor:
    """The envelope's colour [B, 3, T, H, W]."""
    around = (u / half.clamp(min=0.05)).clamp(-1, 1)
    gores = torch.cos(torch.asin(around * 0.999) * 6)
    light = 0.84 + 0.26 * around * b.n("light_x").sign() - 0.20 * v.clamp(-1, 1) + 0.09 * gores
    own = b.colour([palette.BALLOON[s.attributes.balloon] for s in b.scenes])
    lit = mix(b.lighting(), torch.ones_like(own), torch.full_like(own, 0.35))
    band = step(0.1 - (v - 0.1).abs(), edge * 1.5).unsqueeze(1) * 0.55
    pale = torch.ones_like(own) * b.lighting() * light.clamp(0.3, 1.1).unsqueeze(1)
    colour = mix(own * lit * light.clamp(0.3, 1.25).unsqueeze(1), pale, band)
    dark = b.flag([s.attributes.time in ("night", "dusk") for s in b.scenes])
    lamp = torch.exp(-((u / 0.7) ** 2 + ((v - 0.75) / 0.8) ** 2)) * dark
    return colour + lamp.unsqueeze(1) * b.colour([palette.LAMP] * len(b.scenes))


def draw_boat(b: Canvas, world: Tensor, horizon: Tensor) -> Tensor:
    """A sailing boat and its reflection, swaying slowly."""
    forwards, upright, r = place_boat(b, horizon)
    sway = 0.03 * torch.sin(b.t * 1.6 + b.n("offset", 0) * 6)
    light = b.lighting()
    edge = b.pixel / r
    wood = b.colour([palette.HULL] * len(b.scenes)) * light
    cloth = b.colour([palette.SAIL] * len(b.scenes)) * (0.5 + 0.5 * light)
    for mirrored in (True, False):
        above = -upright / 0.8 if mirrored else upright
        u = forwards - above * sway
        solid, sails = _boat_parts(u, above, edge)
        strength = b.n("boat") * (0.34 if mirrored else 1.0)
        world = mix(world, wood, (solid * strength).unsqueeze(1))
        shaded = cloth * (0.9 + 0.25 * u).clamp(0.6, 1.1).unsqueeze(1)
        world = mix(world, shaded, (sails * strength).unsqueeze(1))
    return world


def _boat_parts(u: Tensor, above: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
    """Cover of hull and mast, and of the two sails; u forwards, above the water line, in boat lengths."""
    hull = step(above, edge) * step(0.2 + 0.1 * u * u - above, edge)
    hull = hull * step(0.5 + 0.55 * above - u.abs(), edge)
    mast = step(0.016 - (u - 0.045).abs(), edge) * step(above - 0.2, edge) * step(1.6 - above, edge)
    main = step(u + 0.42 - 0.10 * (above - 0.28), edge) * step(0.02 - u, edge)
    main = main * step(above - 0.28, edge) * step(1.55 - above + (u - 0.02) * 2.4, edge * 2)
    jib = step(u - 0.07, edge) * step(above - 0.3, edge)
    jib = jib * step(1.25 - above - (u - 0.07) * 2.1, edge * 2)
    return torch.maximum(hull, mast), torch.maximum(main, jib)


def draw_birds(b: Canvas, world: Tensor) -> Tensor:
    """A few gliding birds: two arcs each."""
    middle, dark = b.sky_colours()[2], torch.zeros_like(b.x)
    for i in range(BIRDS):
        u, v, r = place_bird(b, i)
        wing = u.abs()
        lift = 0.42 + 0.05 * torch.sin(b.t * 1.5 + 2.1 * i)
        curve = lift * (1.25 * wing * wing - 1.55 * wing) + 0.1
        thick = 0.15 * (1.05 - wing).clamp(0, 1) + 0.035
        bird = step(thick - (v - curve).abs(), b.pixel / r * 1.2) * step(1.0 - wing, b.pixel / r * 2)
        dark = torch.maximum(dark, bird)
    return mix(world, middle * 0.22, (dark * b.n("birds") * 0.9).unsqueeze(1))
