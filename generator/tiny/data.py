"""Training data, rendered on the fly from a seeded generator."""

from __future__ import annotations

from typing import Final

import torch
from numpy.random import Generator
from torch import Tensor

from generator.tiny.latents import STRIDE
from generator.tiny.render import Grid, render
from generator.tiny.scene import Attributes, Scene, draw_scene

HEIGHT: Final = 480  # pixels
WIDTH: Final = 832
FPS: Final = 12
FRAMES: Final = 25
HELD_OUT: Final = (
    7  # one in seven combinations of time, surface, palette, weather and relief is never trained on
)


def combination(seen: Attributes) -> tuple[str, str, str, str, str]:
    """What the held-out split looks at."""
    return seen.time, seen.surface, seen.palette, seen.weather, seen.relief


def is_held_out(seen: Attributes) -> bool:
    """Whether the generator never trains on this combination (a fixed choice, the same in every run)."""
    return sum(ord(c) * (i + 1) for i, c in enumerate("/".join(combination(seen)))) % HELD_OUT == 0


def draw_training_scene(rng: Generator) -> Scene:
    """A scene whose combination is not held out."""
    while is_held_out((scene := draw_scene(rng)).attributes):
        pass
    return scene


def frame_times(frames: int, start: float = 0.0) -> Tensor:
    """Times [frames] in seconds."""
    return start + torch.arange(frames, dtype=torch.float32) / FPS


@torch.no_grad()
def latent_frames(scenes: list[Scene], count: int) -> Tensor:
    """Quarter-size key frames [B, count, 3, HEIGHT/4, WIDTH/4] of the scenes, for the latent basis to encode."""
    return render(scenes, frame_times(count) * STRIDE, Grid.full(HEIGHT // 4, WIDTH // 4))


@torch.no_grad()
def full_crop(scene: Scene, rng: Generator, frames: int, side: int) -> Tensor:
    """A crop [frames, 3, side, side] at full resolution, half of the time around something in the scene."""
    grid = Grid.full(HEIGHT, WIDTH)
    top, left = rng.integers(0, HEIGHT - side), rng.integers(0, WIDTH - side)
    aims = _aims(scene)
    if aims and rng.random() < 0.6:
        x, y = aims[int(rng.integers(len(aims)))]
        top = int(y * HEIGHT - side / 2 + rng.normal(0, side / 5))
        left = int(x * HEIGHT + WIDTH / 2 - side / 2 + rng.normal(0, side / 5))
    top, left = (16 * round(min(max(v, 0), limit - side) / 16) for v, limit in ((top, HEIGHT), (left, WIDTH)))
    return render([scene], frame_times(frames), grid.crop(top, left, side, side))[0]


def _aims(scene: Scene) -> list[tuple[float, float]]:
    n, seen = scene.numbers, scene.attributes
    aims = []
    if seen.balloon != "none":
        aims.append((float(n["balloon_x"][0]), float(n["balloon_y"][0]) + 0.04))
    if seen.boat:
        aims.append((float(n["boat_x"][0]), float(n["horizon"][0] + n["boat_y"][0]) - 0.06))
    if seen.birds:
        aims.append((float(n["bird_x"][2]), float(n["bird_y"][2])))
    if seen.body != "none":
        aims.append((float(n["light_x"][0]), float(n["light_y"][0])))
    aims.append((0.0, float(n["horizon"][0]) - 0.08))
    return aims
