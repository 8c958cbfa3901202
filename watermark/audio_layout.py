"""The keyed pattern of a sound mark: one period of chips and pilot (docs/spec/audio.md, 2 to 5).

Everything is laid out at 16 kHz, whatever the rate of the sound: a change of rate moves nothing, and a cut
is a shift round the period.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from watermark.coding import CODED_BITS, encode
from watermark.keys import MarkKey, derive_secret, key_stream
from watermark.layout import raised_cosine
from watermark.payload import MediaId, encode_payload

RATE = 16_000  # Hz, of the layout
PERIOD = 16_384  # chips, one each 1/16000 s: 1.024 s, so that a second holds nearly every chip once
PILOT_SHARE = 0.25  # of the energy
BAND_EDGES = (200.0, 400.0, 6_600.0, 7_400.0)  # Hz: where the mark begins, is full, is full still, ends

Wave = NDArray[np.float64]
FREQUENCIES = fft.rfftfreq(PERIOD, 1 / RATE)


@dataclass(frozen=True)
class AudioSeeds:
    """Seeds of the sound mark that belongs to a picture mark's key: 32 bytes each."""

    pilot: bytes
    payload: bytes

    @staticmethod
    def of(key: MarkKey) -> AudioSeeds:
        """Derived from the key's own seeds under labels of their own: neither mark tells of the other."""
        pilot = derive_secret(key.pilot_seed, b"audio pilot\0")
        return AudioSeeds(pilot, derive_secret(key.payload_seed, b"audio payload\0"))


@dataclass(frozen=True)
class AudioChips:
    """`signs` float64 [PERIOD] of -1 and 1; `bits` uint8 [PERIOD], the coded bit that each chip carries."""

    signs: Wave
    bits: NDArray[np.uint8]


def lay_audio_chips(payload_seed: bytes) -> AudioChips:
    """The chips of a sub-key. Every 256 neighbours, 16 ms, carry each coded bit once."""
    ranks = key_stream(payload_seed, "audio/bits", PERIOD).reshape(-1, CODED_BITS)
    bits = np.argsort(ranks, axis=1, kind="stable").astype(np.uint8).ravel()
    return AudioChips(_signs(payload_seed, "audio/signs"), bits)


def lay_audio_pilot(pilot_seed: bytes) -> Wave:
    """One period of a ring's pilot, unit power: noise of keyed sign in the band of the mark."""
    return band_limited(_signs(pilot_seed, "audio/pilot"))


def lay_audio_pattern(key: MarkKey, media_id: MediaId) -> Wave:
    """One period of the mark, float64 [PERIOD] at `RATE`, unit power."""
    seeds = AudioSeeds.of(key)
    chips = lay_audio_chips(seeds.payload)
    coded = 1.0 - 2.0 * encode(encode_payload(media_id, seeds.payload))
    pulses = band_limited(chips.signs * coded[chips.bits])
    pattern: Wave = np.sqrt(1 - PILOT_SHARE) * pulses + np.sqrt(PILOT_SHARE) * lay_audio_pilot(seeds.pilot)
    return pattern


def band_limited(period: Wave) -> Wave:
    """One period of a periodic wave, filtered to the band and brought to unit power."""
    wave = fft.irfft(fft.rfft(period) * band(FREQUENCIES), PERIOD)
    limited: Wave = wave / np.sqrt(np.mean(wave**2))
    return limited


def band(hertz: Wave) -> Wave:
    """Frequency response of the pulse that each chip sends, 0 to 1."""
    low, rises, falls, high = BAND_EDGES
    response: Wave = raised_cosine(hertz, low, rises) * (1 - raised_cosine(hertz, falls, high))
    return response


def _signs(seed: bytes, label: str) -> Wave:
    stream = key_stream(seed, label, PERIOD // 32).view(np.uint8)
    signs: Wave = 1.0 - 2.0 * np.unpackbits(stream, bitorder="little").astype(np.float64)
    return signs


if PERIOD % CODED_BITS:
    raise RuntimeError("a period must hold every coded bit equally often")
