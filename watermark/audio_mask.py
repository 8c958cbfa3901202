"""How much noise the ear lets pass beside a sound (docs/spec/audio.md, 6; no detector needs to know).

Johnston's masking model (IEEE J. Sel. Areas Commun. 6(2), 1988): energies in bands of half a Bark, spread to
their neighbours, lowered by an offset that depends on how tonal a band is. What comes before a loud moment is
masked for less time than what comes after it (MPEG-1 audio, ISO/IEC 11172-3, annex D).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Powers = NDArray[np.float64]

_BANDS_PER_BARK = 2
_RISE, _FALL = 25.0, 10.0  # dB per Bark: how far a band masks those below and above it
_NOISE_OFFSET = 5.5  # dB under a noise-like band
_TONE_OFFSET = 14.5  # dB under a pure tone, and one more for each Bark
_TONAL_FLATNESS = -20.0  # dB of spectral flatness at which a band counts as wholly tonal
_OWN_BAND = 3.0  # dB above the noise offset: no band may be lifted further by its neighbours
_BEFORE, _AFTER = 6.0, 9.0  # dB by which the threshold may rise or fall from one frame to the next
_TINY = 1e-20


@dataclass(frozen=True)
class Strength:
    """Level of the mark against the masking threshold, dB: `low` up to `low_hertz`, `high` from `high_hertz`.

    Sound has most of its power where the mark gains least by it, so the low band gets less.
    """

    low: float = -20.0
    high: float = -8.0
    low_hertz: float = 500.0
    high_hertz: float = 3_000.0

    def gain(self, hertz: Powers) -> Powers:
        """Power gain at each frequency, linear in dB over the logarithm of the frequency."""
        places = np.log([self.low_hertz, self.high_hertz])
        decibels = np.interp(np.log(np.maximum(hertz, 1.0)), places, [self.low, self.high])
        gain: Powers = 10 ** (decibels / 10)
        return gain


DEFAULT_STRENGTH = Strength()
STRONGER = Strength(low=-15.0, high=-4.0)
"""For the rare sound from which the usual strength does not read back."""


@dataclass(frozen=True)
class Masking:
    """Thresholds for spectra of `size`-sample frames at `rate` Hz."""

    rate: int
    size: int

    @cached_property
    def hertz(self) -> Powers:
        """Frequency of each bin, [size // 2 + 1]."""
        frequencies: Powers = fft.rfftfreq(self.size, 1 / self.rate)
        return frequencies

    def thresholds(self, power: Powers) -> Powers:
        """Power per bin that may be added unheard beside `power`, on the safe side: both
        [T, size // 2 + 1]. No band is taken to hide much more than its own sound does, or than it hides in
        the frames beside."""
        energy = power @ self._membership
        own = energy * 10 ** ((_OWN_BAND - _NOISE_OFFSET) / 10)
        return self._per_bin(_held_back(np.minimum(self._masked(power, energy), own)))

    def model(self, power: Powers) -> Powers:
        """As `thresholds`, by Johnston's model as it stands."""
        return self._per_bin(self._masked(power, power @ self._membership))

    def _masked(self, power: Powers, energy: Powers) -> Powers:
        levels = energy * 10 ** (-self._offsets(power, energy) / 10)
        masked: Powers = levels @ self._spreading
        return masked

    def _per_bin(self, masked: Powers) -> Powers:
        per_bin: Powers = (masked / self._widths)[:, self._band_of]
        return per_bin

    def _offsets(self, power: Powers, energy: Powers) -> Powers:
        mean_log = np.log(power + _TINY) @ self._membership / self._widths
        flatness = 10 * (mean_log - np.log(energy / self._widths + _TINY)) / np.log(10)
        tonality = np.clip(flatness / _TONAL_FLATNESS, 0, 1)
        offsets: Powers = tonality * (_TONE_OFFSET + self._barks) + (1 - tonality) * _NOISE_OFFSET
        return offsets

    @cached_property
    def _band_of(self) -> NDArray[np.int64]:
        bark = 13 * np.arctan(0.00076 * self.hertz) + 3.5 * np.arctan((self.hertz / 7_500) ** 2)
        return np.unique((bark * _BANDS_PER_BARK).astype(np.int64), return_inverse=True)[1]

    @cached_property
    def _barks(self) -> Powers:
        bark = 13 * np.arctan(0.00076 * self.hertz) + 3.5 * np.arctan((self.hertz / 7_500) ** 2)
        centres: Powers = bark @ self._membership / self._widths
        return centres

    @cached_property
    def _membership(self) -> Powers:
        bands: Powers = np.eye(int(self._band_of.max()) + 1)[self._band_of]
        return bands

    @cached_property
    def _widths(self) -> Powers:
        widths: Powers = self._membership.sum(axis=0)
        return widths

    @cached_property
    def _spreading(self) -> Powers:
        """[masking band, masked band]: power that reaches the second, per unit in the first."""
        distance = self._barks[None, :] - self._barks[:, None]
        slope: Powers = 10 ** (-np.where(distance > 0, _FALL, -_RISE) * distance / 10)
        return slope


def _held_back(thresholds: Powers) -> Powers:
    """No more than so much above the frame before and the frame after: [T, bands]."""
    before = np.vstack([thresholds[:1], thresholds[:-1]]) * 10 ** (_AFTER / 10)
    after = np.vstack([thresholds[1:], thresholds[-1:]]) * 10 ** (_BEFORE / 10)
    held: Powers = np.minimum(thresholds, np.minimum(before, after))
    return held
