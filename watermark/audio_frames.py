"""Short-time Fourier analysis and synthesis by overlapping frames, in blocks, so that memory stays flat."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Samples = NDArray[np.float32]
Spectra = NDArray[np.complex64]
_BLOCK = 2_048  # frames at a time


@dataclass(frozen=True)
class Frames:
    """Frames of `size` samples every `hop`, a root-Hann window on both sides; `size` is a multiple of `hop`.

    The squares of the windows add up to a constant, so that unchanged spectra give back the sound.
    """

    size: int
    hop: int

    def transform(self, change: Callable[[Spectra], Spectra], *signals: Samples) -> Samples:
        """Cut each of the signals, float32 [N], into frames, hand their spectra, stacked complex64
        [signals, T, size // 2 + 1], to `change`, and lay the [T, size // 2 + 1] that it returns over one
        another again: float32 [N].

        `change` sees blocks of frames with one neighbour on either side, whose results are dropped.
        """
        length = len(signals[0])
        count = -(-length // self.hop) + self.size // self.hop - 1
        lead = self.size - self.hop
        padded = np.stack([self._padded(signal, lead, count + 2) for signal in signals])
        out = np.zeros(padded.shape[1], np.float32)
        window = self._window()
        for first in range(1, count + 1, _BLOCK):
            last = min(first + _BLOCK, count + 1)
            views = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=1)
            cut = views[:, (first - 1) * self.hop : last * self.hop + 1 : self.hop]
            spectra = fft.rfft(cut * window, axis=-1)
            pieces = fft.irfft(change(spectra)[1:-1], self.size, axis=-1).astype(np.float32) * window
            self._lay(out, pieces, first)
        start = self.hop + lead
        return out[start : start + length]

    def _padded(self, signal: Samples, lead: int, frames: int) -> Samples:
        before = self.hop + lead
        total = (frames - 1) * self.hop + self.size
        return np.pad(signal.astype(np.float32, copy=False), (before, total - before - len(signal)))

    def _lay(self, out: Samples, pieces: Samples, first: int) -> None:
        parts = self.size // self.hop
        blocks = pieces.reshape(len(pieces), parts, self.hop)
        for part in range(parts):
            at = (first + part) * self.hop
            out[at : at + len(pieces) * self.hop] += blocks[:, part].ravel()

    def _window(self) -> Samples:
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.size) / self.size)
        window: Samples = np.sqrt(hann * 2 * self.hop / self.size).astype(np.float32)
        return window


def resampled(wave: NDArray[np.floating], rate: int, wanted: int) -> NDArray[np.floating]:
    """The sound [N] at another rate, in Hz, through a polyphase filter; the same array where they agree."""
    if rate == wanted:
        return wave
    # scipy.signal takes a second to import: whoever reads sound at the wanted rate does without it.
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, wanted)
    changed: NDArray[np.floating] = resample_poly(wave, wanted // divisor, rate // divisor)
    return changed
