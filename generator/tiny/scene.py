"""What a scene holds: the attributes that a caption may name, and the numbers that only the picture shows.

A scene is drawn from a seeded generator, so that a clip, its caption and its attributes come from the same
draw. Lengths are in picture heights, x runs from the centre to the right, y from the top, times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

TIMES: Final = ("dawn", "noon", "sunset", "dusk", "night")
SURFACES: Final = ("sea", "lake", "meadow")
WATER_PALETTES: Final = ("blue", "turquoise")
FIELD_PALETTES: Final = ("green", "golden", "lavender")
PALETTES: Final = WATER_PALETTES + FIELD_PALETTES
WEATHERS: Final = ("clear", "cloudy", "misty")
RELIEFS: Final = ("open", "hills", "mountains")
BODIES: Final = ("none", "sun", "moon")
BALLOONS: Final = ("none", "red", "yellow", "blue", "white")
CAMERAS: Final = ("still", "left", "right", "closer")

RIDGES: Final = 6  # three far ridges, then three field ridges that only meadows show
RIDGE_WAVES: Final = 6  # sines per ridge
BIRDS: Final = 3
HORIZON: Final = 0.62


@dataclass(frozen=True)
class Attributes:
    """What can be seen in a scene, in the words of the tuples above."""

    time: str
    surface: str
    palette: str
    weather: str
    relief: str
    body: str
    balloon: str
    boat: bool
    birds: bool
    camera: str


@dataclass(frozen=True)
class Scene:
    """Attributes, and the numbers [k] behind one rendered clip."""

    attributes: Attributes
    numbers: dict[str, NDArray[np.float32]]


def draw_attributes(rng: Generator, *, boats: float = 0.4, birds: float = 0.3) -> Attributes:
    """Every time, surface, palette and weather equally often; objects in about half of the scenes.

    `boats` and `birds` are their shares of the scenes that can hold them.

    A sea lies open and a lake has a shore: nothing else tells them apart at a glance.
    """
    time = str(rng.choice(TIMES))
    surface = str(rng.choice(SURFACES))
    palette = str(rng.choice(FIELD_PALETTES if surface == "meadow" else WATER_PALETTES))
    return Attributes(
        time=time,
        surface=surface,
        palette=palette,
        weather=str(rng.choice(WEATHERS)),
        relief="open" if surface == "sea" else str(rng.choice(RELIEFS[1:])),
        body=_draw_body(rng, time),
        balloon=str(rng.choice(BALLOONS[1:])) if rng.random() < 0.4 else "none",
        boat=bool(surface != "meadow" and rng.random() < boats),
        birds=bool(time != "night" and rng.random() < birds),
        camera=str(rng.choice(CAMERAS)),
    )


def _draw_body(rng: Generator, time: str) -> str:
    if rng.random() < 0.3:
        return "none"
    if time == "dusk":
        return "moon" if rng.random() < 0.7 else "none"
    return "moon" if time == "night" else "sun"


def draw_scene(rng: Generator, attributes: Attributes | None = None) -> Scene:
    """A scene with the given attributes (drawn when None); the same generator state gives the same scene."""
    seen = draw_attributes(rng) if attributes is None else attributes
    side = float(rng.choice((-1.0, 1.0)))
    numbers = {
        "texture": rng.integers(0, 1 << 30, 2),
        "offset": rng.random(8),
        "hue": rng.normal(0, 1, 3),
        **_draw_light(rng, seen, side),
        **_draw_camera(rng, seen),
        **_draw_ridges(rng, seen),
        **_draw_objects(rng, seen, side),
    }
    return Scene(seen, {name: np.asarray(value, np.float32).reshape(-1) for name, value in numbers.items()})


def _draw_light(rng: Generator, seen: Attributes, side: float) -> dict[str, object]:
    low = {"dawn": (0.40, 0.54), "sunset": (0.38, 0.54), "noon": (0.12, 0.2)}.get(seen.time, (0.14, 0.3))
    if seen.relief != "open" and seen.time in ("dawn", "sunset"):
        low = (0.24, 0.4)
    return {
        "light_x": side * rng.uniform(0.12, 0.58),
        "light_y": rng.uniform(*low),
        "light_r": rng.uniform(0.045, 0.062),
        "cloud_level": rng.uniform(-0.04, 0.04),
        "cloud_speed": rng.choice((-1.0, 1.0)) * rng.uniform(0.008, 0.016),
        "horizon": HORIZON + rng.uniform(-0.03, 0.03),
    }


def _draw_camera(rng: Generator, seen: Attributes) -> dict[str, object]:
    speed = rng.uniform(0.05, 0.075)
    return {
        "pan": {"left": -speed, "right": speed}.get(seen.camera, 0.0),
        "zoom": rng.uniform(0.035, 0.05) if seen.camera == "closer" else 0.0,
    }


def _draw_ridges(rng: Generator, seen: Attributes) -> dict[str, object]:
    """Heights above the horizon as sums of sines, each number [RIDGES, RIDGE_WAVES]."""
    mountains = seen.relief == "mountains"
    octaves = np.arange(RIDGE_WAVES)
    frequency = (1.5 if mountains else 1.25) * 1.75**octaves * rng.uniform(0.8, 1.25, (RIDGES, RIDGE_WAVES))
    fall = 0.58 if mountains else 0.40
    amplitude = fall**octaves * rng.uniform(0.6, 1.3, (RIDGES, RIDGE_WAVES))
    base = np.array([0.13, 0.075, 0.035, 0, 0, 0]) * rng.uniform(0.75, 1.25, RIDGES)
    scale = np.array([0.055, 0.04, 0.028, 0, 0, 0]) * rng.uniform(0.8, 1.2, RIDGES)
    if mountains:
        base, scale = base * np.array([1.1, 0.85, 0.75, 1, 1, 1]), scale * np.array([2.1, 1.5, 1.0, 1, 1, 1])
    else:
        scale = scale * np.array([1.35, 1.3, 1.2, 1, 1, 1])
    if seen.relief == "open":
        base, scale = base * 0 - 0.5, scale * 0
    if seen.surface == "meadow":
        base[3:] = np.array([-0.02, -0.11, -0.22]) + rng.uniform(-0.015, 0.015, 3)
        scale[3:] = (0.022, 0.03, 0.04)
        frequency[3:] *= 0.8
        amplitude[3:, 3:] *= 0.15
    return {
        "ridge_a": amplitude * scale[:, None],
        "ridge_f": frequency,
        "ridge_p": rng.uniform(0, 2 * np.pi, (RIDGES, RIDGE_WAVES)),
        "ridge_b": base,
    }


def _draw_objects(rng: Generator, seen: Attributes, side: float) -> dict[str, object]:
    """The balloon keeps to the side where the sun or moon is not; the boat and the birds to the other."""
    balloon_x, boat_x, bird_x = side * (rng.uniform(0.1, 0.5, 3) * np.array([-1, 1, 0.75]) + (0, 0, 0.18))
    spread = np.stack((np.linspace(-0.15, 0.15, BIRDS), rng.uniform(-0.05, 0.05, BIRDS)), 1)
    return {
        "balloon": float(seen.balloon != "none"),
        "balloon_x": balloon_x,
        "balloon_y": rng.uniform(0.2, 0.36),
        "balloon_r": rng.uniform(0.085, 0.125),
        "balloon_v": rng.uniform(-0.012, 0.012),
        "boat": float(seen.boat),
        "boat_x": boat_x,
        "boat_y": rng.uniform(0.08, 0.17),
        "boat_r": rng.uniform(0.085, 0.12),
        "boat_v": rng.choice((-1.0, 1.0)) * rng.uniform(0.008, 0.018),
        "birds": float(seen.birds),
        "bird_x": bird_x + spread[:, 0] + rng.normal(0, 0.012, BIRDS),
        "bird_y": rng.uniform(0.14, 0.3) + spread[:, 1],
        "bird_r": rng.uniform(0.04, 0.055, BIRDS),
        "bird_v": rng.choice((-1.0, 1.0)) * rng.uniform(0.02, 0.035),
    }
