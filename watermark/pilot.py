"""How strongly the pilot of a ring answers at a geometry (docs/spec/watermark.md, 9.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from watermark.frontend import Maps
from watermark.geometry import Matrix, work_scaling
from watermark.layout import CHANNELS, SHORT_SIDE, Channel, Pilot, lay_pilot

_NOISE_WINDOW = 9  # bins of the spectrum over which its power is averaged


@dataclass(frozen=True)
class Spectrum:
    """One map made ready for pilots: `plane` float32 [h, w], `noise` its mean power per bin at frequencies
    of an rfft2.
    """

    plane: NDArray[np.float32]
    noise: NDArray[np.float32]

    @staticmethod
    def of(plane: NDArray[np.float32]) -> Spectrum:
        power = np.abs(fft.rfft2(plane)) ** 2
        return Spectrum(plane, ndimage.uniform_filter(power, _NOISE_WINDOW, mode="nearest") + 1e-9)

    def response(self, waves: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Fourier sums at `waves`, float [n, 2] in cycles per sample as (x, y), each over its noise
        deviation.
        """
        h, w = self.plane.shape
        across = np.exp(-2j * np.pi * np.outer(np.arange(w), waves[:, 0])).astype(np.complex64)
        down = np.exp(-2j * np.pi * np.outer(waves[:, 1], np.arange(h))).astype(np.complex64)
        sums = np.einsum("nw,wn->n", down @ self.plane, across)
        flip = np.where(waves[:, 0] < 0, -1, 1)
        row = np.rint(flip * waves[:, 1] * h).astype(int) % h
        column = np.minimum(np.rint(flip * waves[:, 0] * w).astype(int), self.noise.shape[1] - 1)
        response: NDArray[np.complex128] = sums / np.sqrt(self.noise[row, column])
        return response


@dataclass(frozen=True)
class PilotProbe:
    """The pilots of one ring held against the maps of one medium."""

    pilots: tuple[Pilot, ...]
    spectra: tuple[Spectrum, ...]
    to_work: Matrix

    @staticmethod
    def of(maps: Maps, pilot_seed: bytes) -> PilotProbe:
        pilots = tuple(lay_pilot(pilot_seed, channel) for channel in CHANNELS)
        spectra = tuple(Spectrum.of(maps.plane(channel)) for channel in CHANNELS)
        return PilotProbe(pilots, spectra, work_scaling(maps.height, maps.width, *maps.luma.shape))

    def strengths(self, canonical_to_pixels: Matrix) -> NDArray[np.float64]:
        """Coherent answer per channel, in standard deviations of what an unmarked picture gives: float [2]."""
        to_canonical = np.linalg.inv(self.to_work @ canonical_to_pixels) / SHORT_SIDE
        answers = []
        for pilot, spectrum in zip(self.pilots, self.spectra, strict=True):
            waves = pilot.frequencies @ to_canonical[:2, :2]
            expected = 2 * np.pi * pilot.frequencies @ to_canonical[:2, 2] + pilot.phases
            answer = spectrum.response(waves) * np.exp(-1j * expected)
            answers.append(np.sqrt(2 / len(waves)) * answer.real.sum())
        return np.array(answers)


__all__ = ["Channel", "PilotProbe", "Spectrum"]
