"""Training data, rendered on the fly from a seeded generator."""

from __future__ import annotations

from typing import Final

import torch
from numpy.random import Generator
from torch import Tensor

from generator.tiny.latents import (
    CELL_PIXELS,
    HEIGHT,
    STRIDE,
    WHOLE,
    WIDTH,
    Cells,
    LatentBasis,
    encode_scenes,
)
from generator.tiny.render import Grid, render
from generator.tiny.scene import Attributes, Scene, draw_attributes, draw_scene

FPS: Final = 12
FRAMES: Final = 25
AIMED: Final = 0.75  # share of crops around the horizon, the light or an object
OBJECTS: Final = 0.5  # share of training scenes with a boat, and with birds, where there can be any
HELD_OUT: Final = 7  # one in seven combinations is never trained on


def combination(seen: Attributes) -> tuple[str, str, str, str, str]:
    """What the held-out split looks at."""
    return seen.time, seen.surface, seen.palette, seen.weather, seen.relief


def is_held_out(seen: Attributes) -> bool:
    """Whether the generator never trains on this combination (a fixed choice, the same in every run)."""
    return sum(ord(c) * (i + 1) for i, c in enumerate("/".join(combination(seen)))) % HELD_OUT == 0


def draw_training_scene(rng: Generator) -> Scene:
    """A scene whose combination is not held out; boats and birds come more often than elsewhere."""
    while is_held_out(seen := draw_attributes(rng, boats=OBJECTS, birds=OBJECTS)):
        pass
    return draw_scene(rng, seen)


def frame_times(frames: int, start: float = 0.0) -> Tensor:
    """Times [frames] in seconds."""
    return start + torch.arange(frames, dtype=torch.float32) / FPS


def latent_times(count: int) -> Tensor:
    """Times [count] in seconds of the first latent frames."""
    return frame_times(count) * STRIDE


def draw_cells(scene: Scene, rng: Generator, side: int) -> Cells:
    """A square of `side` cells, mostly around something in the scene."""
    y, x = float(rng.uniform(0, HEIGHT)), float(rng.uniform(0, WIDTH))
    aims = _aims(scene)
    if rng.random() < AIMED:
        aim_x, aim_y = aims[int(rng.integers(len(aims)))]
        spread = side * CELL_PIXELS / 5
        y = aim_y * HEIGHT + float(rng.normal(0, spread))
        x = aim_x * HEIGHT + WIDTH / 2 + float(rng.normal(0, spread))
    return Cells(_first(y, side, WHOLE.rows), _first(x, side, WHOLE.columns), side, side)


def _first(centre: float, side: int, cells: int) -> int:
    """The first of `side` cells around a pixel, all of them within the picture."""
    return min(max(round(centre / CELL_PIXELS - side / 2), 0), cells - side)


@torch.no_grad()
def draw_crops(basis: LatentBasis, rng: Generator, count: int, side: int) -> tuple[Tensor, Tensor]:
    """Latents [count, CHANNELS, side, side] and pictures [count, 3, 16 side, 16 side] in [-1, 1].

    Each is one frame of a clip; between latent frames the latents are those on both sides, mixed.
    """
    scenes = [draw_training_scene(rng) for _ in range(count)]
    cells = [draw_cells(scene, rng, side) for scene in scenes]
    frame = torch.from_numpy(rng.integers(0, FRAMES, count))
    sides = torch.stack((frame // STRIDE, frame // STRIDE + 1), 1) * STRIDE / FPS
    before, after = encode_scenes(basis, scenes, sides, cells).unbind(2)
    latents = torch.lerp(before, after, (frame % STRIDE / STRIDE).view(-1, 1, 1, 1))
    pictures = render(scenes, frame[:, None] / FPS, Grid.stack([c.grid(1) for c in cells]))
    return latents, pictures[:, 0] * 2 - 1


def _aims(scene: Scene) -> list[tuple[float, float]]:
    """Places (x, y) worth looking at, in picture heights."""
    n, seen = scene.numbers, scene.attributes
    aims = [(0.0, float(n["horizon"][0]) - 0.08)]
    if seen.balloon != "none":
        places = (-0.08, 0.04, 0.15)  # its crown, its middle, its basket: no crop shows it whole
        aims += [(float(n["balloon_x"][0]), float(n["balloon_y"][0]) + place) for place in places]
    if seen.boat:
        aims.append((float(n["boat_x"][0]), float(n["horizon"][0] + n["boat_y"][0]) - 0.06))
    if seen.birds:
        aims.append((float(n["bird_x"][1]), float(n["bird_y"][1])))
    if seen.body != "none":
        aims.append((float(n["light_x"][0]), float(n["light_y"][0])))
    return aims
