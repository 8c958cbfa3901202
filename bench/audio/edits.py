"""What happens to sound on its way: each edit takes and gives float32 [channels, N] and its rate."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray
from scipy import signal

from watermark.audio_files import Sound, add_sound_stream, encoded_sound, read_sound

Wave = NDArray[np.float32]
Edit = Callable[[Wave, int, np.random.Generator], tuple[Wave, int]]


def coded(codec: str, kilobits: int, suffix: str) -> Edit:
    """Through a lossy codec and back, at so many kbit/s in all."""

    def edit(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
        sound = Sound(samples, rate, codec)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"sound{suffix}"
            with av.open(str(path), "w") as container:
                options: Any = add_sound_stream(container, codec, sound, kilobits * 1_000 // len(samples))
                for packet in encoded_sound(options, sound):
                    container.mux(packet)
            back = read_sound(path)
        return back.samples, back.rate

    return edit


def resampled(rate_to: int, *, back: bool = False) -> Edit:
    """At another rate, or down and back up."""

    def edit(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
        there = _to_rate(samples, rate, rate_to)
        return (_to_rate(there, rate_to, rate), rate) if back else (there, rate_to)

    return edit


def _to_rate(samples: Wave, rate: int, wanted: int) -> Wave:
    divisor = int(np.gcd(rate, wanted))
    return np.asarray(signal.resample_poly(samples, wanted // divisor, rate // divisor, axis=1), np.float32)


def cut(seconds: float) -> Edit:
    """A stretch of this length from a random place."""

    def edit(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
        length = round(seconds * rate)
        start = int(rng.integers(0, samples.shape[1] - length + 1))
        return samples[:, start : start + length], rate

    return edit


def louder(decibels: float) -> Edit:
    """Another volume; what overshoots is clipped."""

    def edit(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
        return np.clip(samples * np.float32(10 ** (decibels / 20)), -1, 1), rate

    return edit


def noisy(decibels: float) -> Edit:
    """White noise so far below the sound."""

    def edit(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
        level = float(np.sqrt(np.mean(samples**2))) * 10 ** (-decibels / 20)
        return (samples + level * rng.standard_normal(samples.shape)).astype(np.float32), rate

    return edit


def filtered(kind: str, hertz: float) -> Edit:
    """A Butterworth low or high pass of order 4."""

    def edit(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
        sections = signal.butter(4, hertz, kind, fs=rate, output="sos")
        return np.asarray(signal.sosfilt(sections, samples, axis=1), np.float32), rate

    return edit


def mixed_down(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
    """To one channel."""
    return samples.mean(axis=0, keepdims=True), rate


def echoed(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
    """An echo of 30 % after 0.1 s."""
    late = np.pad(samples, ((0, 0), (rate // 10, 0)))[:, : samples.shape[1]]
    return samples + np.float32(0.3) * late, rate


def eight_bits(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
    """Rounded to 8 bits."""
    return np.round(samples * 127) / np.float32(127), rate


def after(*edits: Edit) -> Edit:
    """One after the other."""

    def edit(samples: Wave, rate: int, rng: np.random.Generator) -> tuple[Wave, int]:
        for step in edits:
            samples, rate = step(samples, rate, rng)
        return samples, rate

    return edit


AAC_64: Final = coded("aac", 64, ".m4a")
MP3_64: Final = coded("libmp3lame", 64, ".mp3")

PROMISED: Final[Mapping[str, Edit]] = {
    "none": lambda samples, rate, rng: (samples, rate),
    "AAC 64 kbit/s": AAC_64,
    "MP3 128 kbit/s": coded("libmp3lame", 128, ".mp3"),
    "MP3 64 kbit/s": MP3_64,
    "resampled to 16 kHz": resampled(16_000),
    "resampled to 8 kHz and back": resampled(8_000, back=True),
    "cut of 1 s": cut(1.0),
    "volume -20 dB": louder(-20),
    "volume +6 dB, clipped": louder(6),
    "white noise at 30 dB": noisy(30),
    "white noise at 20 dB": noisy(20),
}
"""What the page promises."""

HARDER: Final[Mapping[str, Edit]] = {
    "AAC 48 kbit/s": coded("aac", 48, ".m4a"),
    "AAC 32 kbit/s": coded("aac", 32, ".m4a"),
    "MP3 32 kbit/s": coded("libmp3lame", 32, ".mp3"),
    "Opus 32 kbit/s": after(resampled(48_000), coded("libopus", 32, ".ogg")),
    "Opus 16 kbit/s": after(resampled(48_000), coded("libopus", 16, ".ogg")),
    "white noise at 10 dB": noisy(10),
    "low pass 2 kHz": filtered("lowpass", 2_000),
    "high pass 2 kHz": filtered("highpass", 2_000),
    "one channel": mixed_down,
    "echo": echoed,
    "8 bits": eight_bits,
    "cut of 0.5 s": cut(0.5),
    "cut of 1 s, then AAC 64 kbit/s": after(cut(1.0), AAC_64),
    "AAC, then MP3 64 kbit/s, cut of 2 s": after(AAC_64, MP3_64, cut(2.0)),
    "after 10 s of silence": lambda samples, rate, rng: (
        np.pad(samples, ((0, 0), (10 * rate, 0))),
        rate,
    ),
    "speed 0.1 % up": lambda samples, rate, rng: (_to_rate(samples, 1_001, 1_000), rate),
}
"""What is measured and not promised."""
