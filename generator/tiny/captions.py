"""Captions: what can be seen in a scene, and nothing else, in one of several wordings."""

from __future__ import annotations

from typing import Final

from numpy.random import Generator

from generator.tiny.scene import Attributes

NAME_CHANCE: Final = 0.75  # how often weather, relief and camera are named; a prompt may leave them open
BODY_CHANCE: Final = 0.7  # the same of the sun or moon

TIME_WORDS: Final = {
    "dawn": ("at dawn", "at sunrise", "in the early morning"),
    "noon": ("at noon", "at midday", "by day", "on a sunny day"),
    "sunset": ("at sunset", "in the evening sun"),
    "dusk": ("at dusk", "at twilight"),
    "night": ("at night", "by night"),
}
SURFACE_WORDS: Final = {"sea": ("sea", "ocean"), "lake": ("lake",), "meadow": ("meadow", "field")}
PALETTE_WORDS: Final = {
    "blue": ("blue", "deep blue"),
    "turquoise": ("turquoise", "teal"),
    "green": ("green",),
    "golden": ("golden", "yellow"),
    "lavender": ("lavender", "purple"),
}
WEATHER_WORDS: Final = {
    "clear": ("under a clear sky", "clear sky", "no clouds"),
    "cloudy": ("with drifting clouds", "cloudy sky", "under a cloudy sky"),
    "misty": ("in the mist", "misty", "in the fog"),
}
RELIEF_WORDS: Final = {
    "open": ("an open horizon",),
    "hills": ("hills in the distance", "rolling hills"),
    "mountains": ("mountains in the distance", "tall mountains", "mountains"),
}
BODY_WORDS: Final = {"sun": ("the sun", "a bright sun"), "moon": ("a full moon", "the moon")}
BALLOON_WORDS: Final = ("balloon", "hot air balloon")
BOAT_WORDS: Final = ("a sailing boat", "a boat", "a sailboat")
BIRD_WORDS: Final = ("birds", "a flock of birds")
CAMERA_WORDS: Final = {
    "still": ("the camera is still", "static camera"),
    "left": ("the camera pans left", "moving left"),
    "right": ("the camera pans right", "moving right"),
    "closer": ("the camera moves closer", "moving forward", "slow zoom in"),
}


def _pick(rng: Generator, words: tuple[str, ...]) -> str:
    return words[int(rng.integers(len(words)))]


def _place(rng: Generator, seen: Attributes) -> str:
    return f"a {_pick(rng, PALETTE_WORDS[seen.palette])} {_pick(rng, SURFACE_WORDS[seen.surface])}"


def _things(rng: Generator, seen: Attributes, *, complete: bool) -> list[str]:
    things = []
    if seen.balloon != "none":
        things.append(f"a {seen.balloon} {_pick(rng, BALLOON_WORDS)}")
    if seen.boat:
        things.append(_pick(rng, BOAT_WORDS))
    if seen.birds:
        things.append(_pick(rng, BIRD_WORDS))
    if seen.body != "none" and (complete or rng.random() < BODY_CHANCE):
        things.append(_pick(rng, BODY_WORDS[seen.body]))
    rng.shuffle(things)
    return things


def write_caption(seen: Attributes, rng: Generator, *, complete: bool = False) -> str:
    """One caption of a scene with these attributes.

    Balloon, boat and birds are always named, the sun or moon with BODY_CHANCE, weather, relief and camera
    with NAME_CHANCE each, or all of it when `complete`. The same generator state gives the same caption.
    """
    things, place = _things(rng, seen, complete=complete), _place(rng, seen)
    if not things:
        start = place
    elif rng.random() < 0.8:
        start = f"{' and '.join(things)} over {place}"
    else:
        start = f"{place} with {' and '.join(things)}"
    start = f"{start} {_pick(rng, TIME_WORDS[seen.time])}"
    optional = [
        _pick(rng, words)
        for words in (WEATHER_WORDS[seen.weather], RELIEF_WORDS[seen.relief], CAMERA_WORDS[seen.camera])
        if complete or rng.random() < NAME_CHANCE
    ]
    rng.shuffle(optional)
    return ", ".join([start, *optional])


def all_words() -> list[str]:
    """Every word that a caption can hold, sorted."""
    tables = (TIME_WORDS, SURFACE_WORDS, PALETTE_WORDS, WEATHER_WORDS, RELIEF_WORDS, BODY_WORDS, CAMERA_WORDS)
    phrases = [phrase for table in tables for words in table.values() for phrase in words]
    phrases += [*BALLOON_WORDS, *BOAT_WORDS, *BIRD_WORDS, "a red yellow blue white over with and , ."]
    return sorted({word for phrase in phrases for word in phrase.split()})
