"""Pictures and clips that the bench draws itself: the hard cases for an invisible mark, and foreign footage.

All are seeded and drawn at any size: smooth, dark, flat and written pictures need no media folder.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Field = NDArray[np.float32]


def cloud(height: int, width: int, *, seed: int, scale: float = 0.25, octaves: int = 5) -> Field:
    """Fractal value noise, float32 [H, W] in [0, 1]; `scale`: largest blob as a share of the short side."""
    rng = np.random.default_rng(seed)
    out = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        cell = max(1.0, scale * min(height, width) / 2**octave)
        grid = rng.random((int(height / cell) + 3, int(width / cell) + 3), np.float32)
        out += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    low, high = out.min(), out.max()
    return np.asarray((out - low) / (high - low + 1e-9), np.float32)


def _ramp(height: int, width: int) -> Field:
    return np.broadcast_to(np.linspace(0, 1, height, dtype=np.float32)[:, None], (height, width)).copy()


def _blend(amount: Field, low: tuple[float, float, float], high: tuple[float, float, float]) -> Field:
    start, end = np.array(low, np.float32), np.array(high, np.float32)
    return np.asarray(start + amount[..., None] * (end - start), np.float32)


def _picture(values: Field, seed: int, grain: float = 0.6) -> Picture:
    """Add a little sensor grain (grey levels rms), which every real picture has, and round."""
    noise = np.random.default_rng(seed).standard_normal(values.shape, np.float32)
    return np.clip(np.rint(values + grain * noise), 0, 255).astype(np.uint8)


def _below(height: int, width: int, level: float, *, seed: int) -> NDArray[np.bool_]:
    """Where a picture is below a line of hills around `level` of its height."""
    outline = cloud(width, width, seed=seed, scale=0.4, octaves=4)[0]
    return np.asarray(np.arange(height)[:, None] > height * (level + 0.2 * (outline - 0.5)), np.bool_)


def sky(height: int, width: int, *, seed: int = 0) -> Picture:
    """A clear sky: a smooth blue gradient with one thin veil of cloud."""
    base = _blend(_ramp(height, width), (70, 130, 205), (190, 215, 235))
    veil = np.clip(cloud(height, width, seed=seed, scale=0.6, octaves=3) - 0.7, 0, 1)[..., None]
    return _picture(base + 60 * veil, seed)


def fog(height: int, width: int, *, seed: int = 0) -> Picture:
    """Hills that vanish in fog: almost no contrast anywhere."""
    out = _blend(_ramp(height, width), (206, 209, 212), (188, 191, 193))
    for layer in range(3):
        below = _below(height, width, 0.45 + 0.15 * layer, seed=seed + layer)
        out = np.where(below[..., None], out - 6 * (layer + 1), out).astype(np.float32)
    return _picture(cv2.GaussianBlur(out, (0, 0), 3), seed)


def night(height: int, width: int, *, seed: int = 0) -> Picture:
    """A dark street: near black, with a few lamps and their halos."""
    rng = np.random.default_rng(seed)
    out = _blend(cloud(height, width, seed=seed), (4, 5, 10), (16, 18, 28))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(9):
        spot = rng.random(2) * (height, width)
        distance = np.hypot(y - spot[0], x - spot[1]) / min(height, width)
        glow = np.exp(-distance / 0.04) * 0.4 + (distance < 0.008)
        out += glow[..., None] * np.array([255, 205, 140], np.float32)
    return _picture(out, seed, grain=1.2)


def cartoon(height: int, width: int, *, seed: int = 0) -> Picture:
    """Flat colours with black outlines, no texture and no grain at all."""
    rng = np.random.default_rng(seed)
    out = np.full((height, width, 3), (255, 236, 170), np.uint8)
    unit = min(height, width)
    for _ in range(7):
        centre = (int(rng.random() * width), int(rng.random() * height))
        radius, colour = int(unit * rng.uniform(0.08, 0.28)), tuple(int(c) for c in rng.integers(40, 256, 3))
        cv2.circle(out, centre, radius, colour, -1, cv2.LINE_AA)
        cv2.circle(out, centre, radius, (0, 0, 0), max(1, unit // 128), cv2.LINE_AA)
    return out


def text(height: int, width: int, *, seed: int = 0) -> Picture:
    """A page of black text on white paper."""
    rng = np.random.default_rng(seed)
    out = np.full((height, width, 3), 255, np.uint8)
    line, scale = max(8, height // 22), height / 1000
    letters = list("etaoin shrdlu cmfwyp vbgkjq xz ")
    for row in range(2 * line, height - line, line):
        words = "".join(rng.choice(letters, max(4, int(width / (18 * scale)))))
        cv2.putText(
            out, words, (width // 20, row), cv2.FONT_HERSHEY_COMPLEX, scale, (15, 15, 15), 1, cv2.LINE_AA
        )
    return out


def skin(height: int, width: int, *, seed: int = 0) -> Picture:
    """A softly lit skin tone: smooth shading, faint blotches and pores."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    light = np.clip(1.05 - 0.35 * ((x + 0.3) ** 2 + (y + 0.3) ** 2), 0.35, 1)
    blotch = cloud(height, width, seed=seed, scale=0.15, octaves=3)[..., None] - 0.5
    pores = cv2.GaussianBlur(
        np.random.default_rng(seed).standard_normal((height, width), np.float32), (0, 0), 1.2
    )
    out = light[..., None] * np.array([226, 178, 150], np.float32)
    return _picture(out + blotch * np.array([5, -4, -3], np.float32) + 4 * pores[..., None], seed)


def scene(height: int, width: int, *, seed: int = 0) -> Picture:
    """An ordinary outdoor picture: sky, hills, a textured foreground."""
    out = _blend(_ramp(height, width), (96, 150, 210), (214, 222, 226))
    texture = cloud(height, width, seed=seed, scale=0.06)
    for layer, colour in enumerate(((96, 118, 104), (70, 98, 62), (54, 70, 40))):
        below = _below(height, width, 0.4 + 0.2 * layer, seed=seed + layer)
        ground = (0.5 + texture[..., None]) * np.array(colour, np.float32)
        out = np.where(below[..., None], ground, out).astype(np.float32)
    return _picture(out, seed, grain=2)


HARD: dict[str, Callable[..., Picture]] = {
    "sky": sky,
    "fog": fog,
    "night": night,
    "cartoon": cartoon,
    "text": text,
    "skin": skin,
}
"""The hard pictures by name; each takes (height, width, *, seed)."""


def pan(count: int, height: int, width: int, *, seed: int = 0) -> Picture:
    """A camera that pans over a scene, uint8 [F, H, W, 3]; two pixels of a 512-pixel side per frame."""
    step = max(1, width // 256)
    wide = scene(height, width + step * max(0, count - 1), seed=seed)
    frames = [wide[:, index * step : index * step + width] for index in range(count)]
    return np.stack(frames) if frames else np.zeros((0, height, width, 3), np.uint8)
