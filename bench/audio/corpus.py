"""Five seconds each of speech by espeak-ng and music by sox: made on the spot, the same on every machine with
the same two programs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from watermark.audio_files import read_sound

SECONDS: Final = 5
Wave = NDArray[np.float32]

_SENTENCES: Final = (
    "When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow over the valley.",
    "The train for Norwich leaves from platform nine at a quarter past eleven, calling at every station.",
    "Please keep your receipt, since without it we can neither change the lamp nor give you the money back.",
    "A good bread needs flour, water, salt and patience; the oven matters less than people usually suppose.",
    "Scientists measured the depth of the lake forty times and wrote forty slightly different numbers down.",
)
_VOICES: Final = ("en-us", "en-gb", "en-us+f2", "en-gb+m5", "de", "fr+f4", "es", "it+m3")
_SPEEDS: Final = (135, 150, 165, 180)

_MUSIC: Final = (
    "pluck A2 pluck C3 pluck E3 pluck A3 remix 1,3 2,4 delay 0 .2",
    "pluck E2 pluck E3 pluck B3 remix 1,2 2,3 reverb 40",
    "sine 220 sine 277.18 sine 329.63 remix 1,2 2,3 tremolo 5 40",
    "triangle C4 triangle E4 triangle G4 remix 1,2 2,3 chorus .6 .9 50 .4 .25 2 -t",
    "sawtooth 110 sawtooth 164.81 remix 1 2 lowpass 2500 tremolo 2 70",
    "square 130.81 square 196 remix 1 2 lowpass 4000 phaser .8 .74 3 .4 .5 -t",
    "pinknoise pinknoise tremolo 4 90 remix 1 2 bandpass 1200 2q",
    "brownnoise pluck G2 remix 1v.2,2 1v.2,2 reverb 30",
    "sine 200-2000 sine 2000-200 remix 1 2",
    "pluck C2 pluck G2 pluck C4 pinknoise remix 1,3,4v.1 2,3,4v.1 overdrive 8",
    "trapezium D3 triangle F#3 sine A4 remix 1,3 2,3 flanger",
    "pluck D4 pluck F4 pluck A4 pluck C5 remix 1,3 2,4 delay .5 .9 echo .8 .7 200 .3",
)

_NEW_SENTENCES: Final = (
    "Nobody noticed the second moon until the tide tables stopped agreeing with the harbour wall.",
    "Der Schnee lag noch auf den Dächern, als die ersten Busse wieder durch die Stadt fuhren.",
    "Ask the librarian for the green folder, copy pages three to twelve, and bring everything back by noon.",
)
_NEW_VOICES: Final = ("en-us+m7", "en-gb+f5", "de+m2", "nl", "pl+f1", "pt", "sv+m6", "en-us+croak")
_NEW_MUSIC: Final = (
    "pluck F2 pluck A2 pluck C3 pluck E3 remix 1,4 2,3 tremolo 6 30",
    "triangle 146.83 sine 185 pinknoise remix 1,3v.05 2,3v.05",
    "square 98 sawtooth 98.7 remix 1 2 lowpass 3000 reverb 60",
    "pluck B3 pluck D4 pluck F#4 remix 1,2 2,3 delay .3 .6",
    "sine 300-900 pluck G3 remix 1v.4,2 1v.4,2 chorus .7 .9 55 .4 .25 2 -t",
    "whitenoise whitenoise lowpass 3500 tremolo 8 95 remix 1 2",
    "trapezium 55 triangle 82.4 remix 1 2 overdrive 15 lowpass 5000",
    "exp 220 exp 330 remix 1,2 1,2 echo .8 .8 120 .4",
)


@dataclass(frozen=True)
class Piece:
    """One piece: float32 [channels, N] at `rate` Hz. Nothing was changed for the sake of the new ones."""

    name: str
    kind: str
    samples: Wave
    rate: int


def corpus(folder: Path) -> list[Piece]:
    """Sixteen spoken pieces and twelve of music, and eight new ones of each, kept in `folder`.

    Raises `RuntimeError` where espeak-ng or sox is missing.
    """
    for program in ("espeak-ng", "sox"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is not installed; on Debian: apt install espeak-ng sox")
    folder.mkdir(parents=True, exist_ok=True)
    return [
        *(_spoken(folder, "speech", i, _VOICES[i % 8], _SENTENCES) for i in range(16)),
        *(_played(folder, "music", i, effects) for i, effects in enumerate(_MUSIC)),
        *(_spoken(folder, "new speech", i, voice, _NEW_SENTENCES) for i, voice in enumerate(_NEW_VOICES)),
        *(_played(folder, "new music", i, effects) for i, effects in enumerate(_NEW_MUSIC)),
    ]


def _spoken(folder: Path, kind: str, number: int, voice: str, sentences: tuple[str, ...]) -> Piece:
    path = folder / f"{kind}-{number:02}.wav"
    if not path.exists():
        speed = _SPEEDS[number // 2 % len(_SPEEDS)]
        text = " ".join(sentences[(number + i) % len(sentences)] for i in range(2))
        _run("espeak-ng", "-v", voice, "-s", str(speed), "-w", str(path), text)
    return _piece(path, kind)


def _played(folder: Path, kind: str, number: int, effects: str) -> Piece:
    path = folder / f"{kind}-{number:02}.wav"
    if not path.exists():
        rate = (44_100, 48_000)[number % 2]
        head = ("sox", "-R", "-n", "-r", str(rate), "-c", "2", "-b", "16", str(path), "synth", str(SECONDS))
        tail = ("gain", "-n", "-4", "fade", "0", str(SECONDS), ".05")
        _run(*head, *effects.split(), *tail)
    return _piece(path, kind)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _piece(path: Path, kind: str) -> Piece:
    sound = read_sound(path)
    return Piece(path.stem, kind, sound.samples[:, : SECONDS * sound.rate], sound.rate)
