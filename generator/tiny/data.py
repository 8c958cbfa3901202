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
AIMED: Final = 0.6  # share of crops around the horizon, the light or an object
HELD_OUT: Final = 7  # one in seven combinations is never trained on


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
    """A crop [frames, 3, side, side] at full resolution, mostly around something in the scene."""
    return render(scenes, frame_times(count) * STRIDE, Grid.full(HEIGHT // 4, WIDTH // 4))


@torch.no_grad()
def full_crop(scene: Scene, rng: Generator, frames: int, side: int) -> Tensor:
    """A crop [frames, 3, side, side] at full resolution, mostly around something in the scene."""
    y, x = float(rng.uniform(0, HEIGHT)), float(rng.uniform(0, WIDTH))
    aims = _aims(scene)
    if rng.random() < AIMED:
        aim_x, aim_y = aims[int(rng.integers(len(aims)))]
        y = aim_y * HEIGHT + float(rng.normal(0, side / 5))
        x = aim_x * HEIGHT + WIDTH / 2 + float(rng.normal(0, side / 5))
    top, left = _snap(y - side / 2, HEIGHT - side), _snap(x - side / 2, WIDTH - side)
    return render([scene], frame_times(frames), Grid.full(HEIGHT, WIDTH).crop(top, left, side, side))[0]


def _snap(start: float, limit: int) -> int:
    """The nearest start of a latent cell in [0, limit]."""
    return 16 * round(min(max(start, 0.0), float(limit)) / 16)


def _aims(scene: Scene) -> list[tuple[float, float]]:
    """Places (x, y) worth looking at, in picture heights."""
    n, seen = scene.numbers, scene.attributes
    aims = [(0.0, float(n["horizon"][0]) - 0.08)]
    if seen.balloon != "none":
        aims.append((float(n["balloon_x"][0]), float(n["balloon_y"][0]) + 0.04))
    if seen.boat:
        aims.append((float(n["boat_x"][0]), float(n["horizon"][0] + n["boat_y"][0]) - 0.06))
    if seen.birds:
        aims.append((float(n["bird_x"][2]), float(n["bird_y"][2])))
    if seen.body != "none":
        aims.append((float(n["light_x"][0]), float(n["light_y"][0])))
    return aims
