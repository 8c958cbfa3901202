"""How far the mark lies below the sound. No substitute for listening tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from watermark.audio_mask import Masking

Wave = NDArray[np.float32]
_FRAME = 0.043  # s, as in BS.1387
_SEGMENT = 0.03  # s
_ROUNDING = 2.0**-30 / 12  # power of rounding to 16 bits: below it nothing is heard
_QUIET = 60.0  # dB below the loudest segment: pauses say nothing


def snr(plain: Wave, marked: Wave, rate: int) -> float:
    """Power of the sound over power of the change, dB."""
    return float(10 * np.log10(np.sum(plain**2) / np.sum((marked - plain) ** 2)))


def segmental_snr(plain: Wave, marked: Wave, rate: int) -> float:
    """Mean over segments of 30 ms, each kept to -10 to 35 dB, pauses left out."""
    length = round(_SEGMENT * rate)
    count = plain.shape[1] // length
    cut = [x[:, : count * length].reshape(-1, length) for x in (plain, marked - plain)]
    power, change = (np.sum(x.astype(np.float64) ** 2, axis=1) for x in cut)
    loud = power > power.max() * 10 ** (-_QUIET / 10)
    ratios = 10 * np.log10(power[loud] / np.maximum(change[loud], 1e-20))
    return float(np.clip(ratios, -10, 35).mean())


def noise_to_mask(plain: Wave, marked: Wave, rate: int) -> float:
    """Mean ratio of the change to the masking threshold over bands and frames, dB, as the Total NMR of ITU-R
    BS.1387 forms it, with Johnston's thresholds in place of its ear model. Below -10 dB nothing is heard."""
    size = 1 << round(np.log2(_FRAME * rate))
    masking = Masking(rate, size)
    spectra = [signal.stft(x.mean(axis=0), rate, nperseg=size)[2].T for x in (plain, marked - plain)]
    power, added = (np.abs(s) ** 2 for s in spectra)
    heard = power.sum(axis=1) > power.sum(axis=1).max() * 10 ** (-_QUIET / 10)
    inside = (masking.hertz >= 100) & (masking.hertz <= 16_000)
    allowed = masking.model(power) + _ROUNDING * 1.5 / size
    ratio = added[heard][:, inside] / allowed[heard][:, inside]
    return float(10 * np.log10(ratio.mean()))
