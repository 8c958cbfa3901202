"""Putting the mark into sound (docs/spec/audio.md, 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.audio_frames import Frames, Samples, Spectra, resampled
from watermark.audio_layout import BAND_EDGES, RATE, lay_audio_pattern
from watermark.audio_mask import DEFAULT_STRENGTH, Masking, Strength
from watermark.errors import EmbeddingError
from watermark.keys import MarkKey
from watermark.payload import MediaId

MIN_RATE, MAX_RATE = 8_000, 192_000  # Hz: below, half of the band is missing
MIN_SECONDS = 1.0  # a shorter sound holds less than one period
_USUAL_SNR = 26.0  # dB
_MAX_RAISE = 4.0  # dB: keeps the strongest band 4 dB under the masking threshold
_FRAME_SECONDS = 0.02  # as long as what masks and what is masked pass for simultaneous


@dataclass(frozen=True)
class AudioMark:
    """The mark of one sound: `key` and `media_id` say which, `strength` how strong."""

    key: MarkKey
    media_id: MediaId
    strength: Strength = DEFAULT_STRENGTH

    def apply(self, samples: NDArray[np.floating], rate: int) -> Samples:
        """A marked copy of `samples`, float [channels, N] in [-1, 1] at `rate` Hz: float32 [channels, N].

        All channels get the same wave, each as strong as itself allows. Silence stays silent. Raises
        `EmbeddingError` for any other array, for a rate out of `MIN_RATE` to `MAX_RATE`, and for less than
        `MIN_SECONDS`.
        """
        _check(samples, rate)
        wave = self._wave(samples.shape[1], rate)
        masking = Masking(rate, 1 << round(math.log2(_FRAME_SECONDS * rate)))
        frames = Frames(masking.size, masking.size // 2)
        gain = self.strength.gain(masking.hertz) / _wave_power(masking)

        def shaped(spectra: Spectra) -> Spectra:
            host, mark = spectra
            allowed = masking.thresholds(np.abs(host).astype(np.float64) ** 2) * gain
            weighted: Spectra = (mark * np.sqrt(allowed)).astype(np.complex64)
            return weighted

        host = samples.astype(np.float32)
        mark = np.stack([frames.transform(shaped, channel, wave) for channel in host])
        clipped: Samples = np.clip(host + _raised(mark, host) * mark, -1.0, 1.0)
        return clipped

    def _wave(self, length: int, rate: int) -> Samples:
        """The periodic pattern at `rate`, float32 [length]."""
        period = lay_audio_pattern(self.key, self.media_id)
        needed = math.ceil(length * RATE / rate) + 1
        wave = resampled(np.resize(period, needed), RATE, rate)
        cut: Samples = wave[:length].astype(np.float32)
        return cut


def _raised(mark: Samples, host: Samples) -> float:
    """By how much a mark may be raised that lies further below the sound than it need: a tone hides little,
    and less of it would survive."""
    added = float(np.sum(np.square(mark, dtype=np.float64)))
    if added == 0:
        return 1.0
    ratio = 10 * math.log10(float(np.sum(np.square(host, dtype=np.float64))) / added)
    return float(10 ** (min(max(ratio - _USUAL_SNR, 0.0), _MAX_RAISE) / 20))


def _wave_power(masking: Masking) -> float:
    """Mean power of a bin of the pattern in its band: unit power, spread over the band, under the window."""
    width = (BAND_EDGES[3] + BAND_EDGES[2] - BAND_EDGES[1] - BAND_EDGES[0]) / 2
    return masking.rate * masking.size / (4 * width)


def _check(samples: NDArray[np.floating], rate: int) -> None:
    if samples.ndim != 2 or not np.issubdtype(samples.dtype, np.floating):
        raise EmbeddingError(f"sound must be float [channels, N], got {samples.dtype} {list(samples.shape)}")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise EmbeddingError(f"sound at {rate} Hz; the mark needs {MIN_RATE} to {MAX_RATE} Hz")
    if samples.shape[0] == 0 or samples.shape[1] < MIN_SECONDS * rate:
        raise EmbeddingError(
            f"the sound lasts {samples.shape[1] / rate:.2f} s; the mark needs {MIN_SECONDS:g} s at least"
        )
    if not math.isfinite(float(samples.sum(dtype=np.float64))):
        raise EmbeddingError("the sound holds NaN or infinity; what made it went wrong")
