"""Finding the mark in sound, with a bound on false positives that holds for every sound (docs/spec/audio.md,
7 and 8)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from watermark.audio_frames import Frames, Samples, Spectra, resampled
from watermark.audio_layout import (
    FREQUENCIES,
    PERIOD,
    RATE,
    AudioChips,
    AudioSeeds,
    Wave,
    band,
    lay_audio_chips,
    lay_audio_pilot,
)
from watermark.coding import CODED_BITS
from watermark.detect import Band
from watermark.errors import DetectionError
from watermark.keys import KeyRing, MarkKey
from watermark.messages import Message, read_message
from watermark.payload import MediaId
from watermark.statistics import LOG10_P_DETECTED, log10_multiplicity

STAGES = 3  # the whole sound evened out, the whole sound half evened out, windows: fixed in advance
SHIFTS = 4  # read in each stage per ring, where its pilot answers best
WINDOW_SECONDS = 8.0  # for sounds of which only a part is marked, or whose parts were rearranged
MIN_SAMPLES = RATE // 4
_OVERSAMPLING = 4  # of the shift: an eighth of a sample is 20 degrees at 7 kHz
_APART = 8  # quarter samples between two shifts that are read
_FLOOR = 1e-7  # of the largest power: below, a bin is codec noise
_FRAMES = Frames(1_024, 256)  # 64 ms: long enough to look between the harmonics of a voice
_TILT = 0.25  # of the level that the second stage leaves: loud bands outweigh those that only hold noise
_NEIGHBOURS = 17  # bins, 266 Hz: over which that level is taken


@dataclass(frozen=True)
class AudioDetection:
    """As `Detection`, for sound. `offset` is where in the period of the mark the sound (or the window that
    answered) begins, in seconds."""

    found: bool
    band: Band
    media_id: MediaId | None
    key_id: str | None
    log10_p: float
    seconds: float
    offset: float | None


@dataclass(frozen=True)
class _Reading:
    """The chips at one shift: `values` float64 [PERIOD]; `answer` is the pilot's, in deviations."""

    values: Wave
    answer: float
    offset: float


@dataclass(frozen=True)
class _Candidate:
    message: Message
    key: MarkKey
    offset: float


class AudioDetector:
    """Looks for the sound marks of several rings. Holds keys: keep it on the server."""

    rate: Final = RATE
    """Hz: sound that was read at this rate is taken as it is."""

    def __init__(self, rings: Sequence[KeyRing]) -> None:
        """Raises `DetectionError` when there is no ring."""
        if not rings:
            raise DetectionError("a detector needs at least one key ring")
        self._keys = {ring: tuple(ring.subkey(i) for i in range(ring.subkeys)) for ring in rings}
        self._pilots = {ring: lay_audio_pilot(AudioSeeds.of(ring.subkey(0)).pilot) for ring in rings}
        self._chips: dict[MarkKey, AudioChips] = {}

    def detect(self, samples: NDArray[np.floating], rate: int) -> AudioDetection:
        """Examine sound: float [N] or [channels, N], any level, at `rate` Hz.

        Raises `DetectionError` for an array of another shape, or less than a quarter of a second.
        """
        mono = _mono(samples, rate)
        best: _Candidate | None = None
        for parts in _stages(mono):
            best = min(filter(None, (best, self._examine(parts))), key=_log10_p, default=None)
            if best is not None and best.message.log10_p <= LOG10_P_DETECTED:
                break
        return _verdict(best, len(mono) / RATE)

    def _examine(self, parts: list[Samples]) -> _Candidate | None:
        """Read every sub-key at the places of all parts at which the pilot of its ring answers best.

        Each stage may spend its share of the false-positive probability, whatever the others found.
        """
        tests = SHIFTS * sum(len(keys) for keys in self._keys.values())
        multiplicity = log10_multiplicity(tests, share=1 / STAGES)
        found: list[_Candidate | None] = []
        for ring, pilot in self._pilots.items():
            readings = [reading for part in parts for reading in _readings(part, pilot)]
            readings.sort(key=lambda reading: -reading.answer)
            found += [self._read(reading, ring, multiplicity) for reading in readings[:SHIFTS]]
        return min(filter(None, found), key=_log10_p, default=None)

    def _read(self, reading: _Reading, ring: KeyRing, multiplicity: float) -> _Candidate | None:
        keys = self._keys[ring]
        soft = np.stack([_soft_bits(reading.values, self._laid(key)) for key in keys])
        message = read_message(soft, [AudioSeeds.of(key).payload for key in keys], multiplicity)
        return _Candidate(message, keys[message.word], reading.offset) if message else None

    def _laid(self, key: MarkKey) -> AudioChips:
        if key not in self._chips:
            self._chips[key] = lay_audio_chips(AudioSeeds.of(key).payload)
        return self._chips[key]


def _stages(mono: Samples) -> Iterator[list[Samples]]:
    """What is examined, one stage after the other, until one of them answers."""
    evened = even_out(mono)
    yield [evened]
    yield [even_out(mono, tilt=_TILT)]
    window = round(WINDOW_SECONDS * RATE)
    if len(evened) > window:
        starts = range(0, len(evened) - window // 2, window // 2)
        yield [evened[start : start + window] for start in starts]


def even_out(mono: Samples, *, tilt: float = 0.0) -> Samples:
    """Sound at `RATE` with every bin of every frame brought to the same power, float32 [N].

    The mark then counts the same everywhere, more between the harmonics of a voice, and no loud moment
    drowns the rest. `tilt` leaves that power of the level around the bin: better where noise was added, which
    holds no mark. No key is involved.
    """
    response = band(fft.rfftfreq(_FRAMES.size, 1 / RATE)).astype(np.float32)
    peak = 0.0

    def loudest(spectra: Spectra) -> Spectra:
        nonlocal peak
        peak = max(peak, float(np.abs(spectra[0]).max(initial=0.0)) ** 2)
        untouched: Spectra = spectra[0]
        return untouched

    def flattened(spectra: Spectra) -> Spectra:
        power = np.abs(spectra[0]) ** 2 + np.float32(peak * _FLOOR)
        gain = response / np.sqrt(power)
        if tilt:
            gain *= ndimage.uniform_filter1d(power / peak, _NEIGHBOURS, axis=1) ** np.float32(tilt)
        flat: Spectra = spectra[0] * gain
        return flat

    _FRAMES.transform(loudest, mono)
    return _FRAMES.transform(flattened, mono) if peak > 0 else np.zeros_like(mono)


def _mono(samples: NDArray[np.floating], rate: int) -> Samples:
    if samples.ndim not in (1, 2) or not np.issubdtype(samples.dtype, np.floating) or rate <= 0:
        raise DetectionError(
            f"sound must be float [N] or [channels, N] at a positive rate, got {samples.dtype} "
            f"{list(samples.shape)} at {rate} Hz"
        )
    wave = samples.astype(np.float32) if samples.ndim == 1 else samples.mean(axis=0, dtype=np.float32)
    wave = resampled(wave, rate, RATE).astype(np.float32)
    if len(wave) < MIN_SAMPLES:
        raise DetectionError(f"the sound lasts {len(wave) / RATE:.2f} s; nothing can be read from so little")
    if not np.isfinite(wave).all():
        raise DetectionError("the sound holds NaN or infinity")
    return wave


def _readings(part: Samples, pilot: Wave) -> list[_Reading]:
    """The part folded to one period, at the shifts at which the pilot answers best, either way up."""
    folded = np.pad(part, (0, -len(part) % PERIOD)).reshape(-1, PERIOD).sum(axis=0, dtype=np.float64)
    spectrum = fft.rfft(folded) * band(FREQUENCIES)
    fine = np.zeros(PERIOD * _OVERSAMPLING // 2 + 1, complex)
    fine[: len(spectrum)] = spectrum * np.conj(fft.rfft(pilot))
    answers = fft.irfft(fine, PERIOD * _OVERSAMPLING)
    deviation = float(answers.std())
    if deviation == 0:
        return []
    heights, found = np.abs(answers), []
    for _ in range(SHIFTS):
        at = int(np.argmax(heights))
        turned = fft.irfft(spectrum * np.exp(2j * np.pi * FREQUENCIES * at / (RATE * _OVERSAMPLING)), PERIOD)
        turned *= np.sign(answers[at])
        turned -= pilot * (turned @ pilot) / PERIOD
        offset = -at / (RATE * _OVERSAMPLING) % (PERIOD / RATE)
        found.append(_Reading(turned, float(heights[at]) / deviation, offset))
        heights[np.arange(at - _APART, at + _APART + 1) % len(heights)] = 0
    return found


def _soft_bits(values: Wave, chips: AudioChips) -> NDArray[np.float32]:
    """float32 [256], positive where a coded 0 is likelier, in deviations of an unmarked sound."""
    soft = np.bincount(chips.bits, weights=values * chips.signs, minlength=CODED_BITS)
    scaled: NDArray[np.float32] = (soft / math.sqrt(float(values @ values) + 1e-30)).astype(np.float32)
    return scaled


def _log10_p(candidate: _Candidate) -> float:
    return candidate.message.log10_p


def _verdict(best: _Candidate | None, seconds: float) -> AudioDetection:
    if best is None:
        return AudioDetection(False, Band.NONE, None, None, 0.0, seconds, None)
    log10_p, media_id = best.message.log10_p, best.message.media_id
    if log10_p > LOG10_P_DETECTED:
        return AudioDetection(False, Band.INCONCLUSIVE, None, None, log10_p, seconds, None)
    return AudioDetection(True, Band.DETECTED, media_id, best.key.key_id, log10_p, seconds, best.offset)
