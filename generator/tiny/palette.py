"""The colours of the rendered scenes: linear-looking sRGB in [0, 1], chosen by eye."""

from __future__ import annotations

from typing import Final

Colour = tuple[float, float, float]


def _rgb(code: str) -> Colour:
    return int(code[0:2], 16) / 255, int(code[2:4], 16) / 255, int(code[4:6], 16) / 255


# Sky from the horizon up (three stops), glow around the light, light disc, ambient light, far haze.
SKY: Final[dict[str, tuple[Colour, ...]]] = {
    "dawn": tuple(map(_rgb, ("ffdcc2", "f3b3bd", "7fa3d6", "ffcf9a", "fff6e0", "f2d2cf", "f4cfc6"))),
    "noon": tuple(map(_rgb, ("d8f0fb", "7cc4f0", "2b7fd0", "ffffff", "fffdf2", "ffffff", "cfe6f2"))),
    "sunset": tuple(map(_rgb, ("ffbe62", "f4713f", "6f3a78", "ffb03e", "fff0b8", "ff9d63", "f79a5a"))),
    "dusk": tuple(map(_rgb, ("f09a86", "8a609f", "2c3570", "ffb49a", "fff3e6", "9d86b8", "a87aa0"))),
    "night": tuple(map(_rgb, ("34568a", "17305f", "081430", "9db8e8", "f6f3e2", "4a64a0", "28457a"))),
}
WATER: Final[dict[str, Colour]] = {"blue": _rgb("14509e"), "turquoise": _rgb("12b3a6")}
FIELD: Final[dict[str, Colour]] = {
    "green": _rgb("5da53c"),
    "golden": _rgb("e0ae3a"),
    "lavender": _rgb("9467c4"),
}
RELIEF: Final[dict[str, Colour]] = {
    "open": _rgb("3e6a66"),
    "hills": _rgb("3a6a58"),
    "mountains": _rgb("47597e"),
}
BALLOON: Final[dict[str, Colour]] = {
    "none": _rgb("ffffff"),
    "red": _rgb("dd2b2b"),
    "yellow": _rgb("f7c325"),
    "blue": _rgb("2a62d8"),
    "white": _rgb("f6f1e6"),
}
SNOW: Final = _rgb("f4f6fb")
SAIL: Final = _rgb("fdf6e8")
LAMP: Final = (0.42, 0.26, 0.08)  # added inside a balloon in the dark
HULL: Final = _rgb("6b3325")
# How much of its own colour a thing keeps in this light: 1 in full daylight.
DAYLIGHT: Final[dict[str, float]] = {"dawn": 0.82, "noon": 1.0, "sunset": 0.62, "dusk": 0.5, "night": 0.3}
