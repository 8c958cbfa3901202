"""From maps and a geometry to soft bits (docs/spec/watermark.md, 9.4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from watermark.coding import CODED_BITS
from watermark.frontend import Maps, frequency_grid
from watermark.geometry import Matrix
from watermark.layout import CHANNELS, SHORT_SIDE, TORUS, Channel, Chips, band_pass

_EVENING_BINS = 15  # bins over which the power spectrum is averaged
_LEAST_POWER = 1e-3  # of its maximum
_RESPONSE_STEPS = 8193  # apart by so little that a line between two is true to a millionth
_BORDER = 1.0  # samples: chips nearer to the edge of the map are left out
_SILENT = 1e-3  # rms of a map in which there is rounding alone, such as the chroma of a grey picture
_TURNED = -3.0  # deviations: a pilot that answers so far below zero was turned over, as some hue changes do
Values = NDArray[np.float32]


@dataclass(frozen=True)
class ChipValues:
    """What the picture shows at the visible chips of one channel: `places` int [n] into the flat torus,
    `values` [n].

    Values are weighted so that they add up over channels as they should; nothing in them depends on a sub-
    key.
    """

    places: NDArray[np.int64]
    values: Values


@dataclass(frozen=True)
class ChipReader:
    """Reads chips off the maps of one medium, at any geometry.

    `spectra` complex [h, w // 2 + 1] of luma and chroma, half way to white: what a codec left of the
    picture is evened out, without blowing up the bands in which it left nothing.
    """

    spectra: tuple[NDArray[np.complexfloating], ...]
    silent: tuple[bool, ...]
    shape: tuple[int, int]
    to_work: Matrix

    @staticmethod
    def of(maps: Maps) -> ChipReader:
        """Prepare the maps: one Fourier transform each, whatever the number of geometries."""
        height, width = maps.luma.shape
        spectra = tuple(_evened(fft.rfft2(maps.plane(channel))) for channel in CHANNELS)
        silent = tuple(
            float(np.sqrt(np.mean(np.square(plane)))) < _SILENT for plane in (maps.luma, maps.chroma)
        )
        return ChipReader(spectra, silent, (height, width), maps.to_work)

    def read(self, canonical_to_pixels: Matrix, strengths: NDArray[np.floating]) -> tuple[ChipValues, ...]:
        """The visible chips of both channels, weighted by how strongly the pilot answers in each."""
        to_work = self.to_work @ canonical_to_pixels
        channels = []
        channel_facts = zip(CHANNELS, self.spectra, self.silent, strengths, strict=True)
        for channel, spectrum, silent, strength in channel_facts:
            places, values = _sample(self._matched(spectrum, to_work, channel), to_work, channel)
            deviation = float(np.sqrt(np.mean(values**2))) if len(values) else 1.0
            weight = (0.0 if silent else _weight(float(strength))) / (
                deviation * np.sqrt(max(len(values), 1)) + 1e-12
            )
            channels.append(ChipValues(places, values * np.float32(weight)))
        return tuple(channels)

    def _matched(self, spectrum: NDArray[np.complexfloating], to_work: Matrix, channel: Channel) -> Values:
        """The map filtered by the pulse of a chip, as large as it is at this geometry, and by its
        whitening.
        """
        zoom = np.sqrt(abs(np.linalg.det(to_work[:2, :2]))) * SHORT_SIDE / min(self.shape)
        filtered: Values = fft.irfft2(spectrum * _pulse(self.shape, channel, float(zoom)), self.shape)
        return filtered


@lru_cache(maxsize=8)  # blocks of a clip are read at one geometry
def _pulse(shape: tuple[int, int], channel: Channel, zoom: float) -> Values:
    return np.interp(frequency_grid(shape, channel) * zoom, *_response()).astype(np.float32)


@lru_cache(1)
def _response() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in cycles per chip, and what the filter lets through of each: to look it up takes a fifth
    of the time."""
    f = np.linspace(0, 1, _RESPONSE_STEPS)
    return f, f * band_pass(f)


def _weight(strength: float) -> float:
    return strength if strength < _TURNED else max(strength, 1.0)


def _evened(spectrum: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    power = ndimage.uniform_filter(np.abs(spectrum) ** 2, _EVENING_BINS, mode="nearest")
    floor = power.max() * _LEAST_POWER + 1e-20
    evened: NDArray[np.complexfloating] = spectrum * np.maximum(power, floor) ** -0.5
    return evened


def soft_bits(chip_values: tuple[ChipValues, ...], chips: tuple[Chips, ...]) -> Values:
    """What a sub-key reads from chip values, in deviations of an unmarked picture.

    float32 [256], positive where a coded 0 is likelier. For every code word c of +-1, sum(soft * c) is a
    sum of independent random signs with fixed weights whose squares add up to 1, unless the picture carries
    this sub-key.
    """
    soft = np.zeros(CODED_BITS)
    power = 1e-30
    for seen, laid in zip(chip_values, chips, strict=True):
        signed = seen.values * laid.signs.ravel()[seen.places]
        soft += np.bincount(laid.bits.ravel()[seen.places], weights=signed, minlength=CODED_BITS)
        power += float(np.sum(seen.values.astype(np.float64) ** 2))
    scaled: Values = (soft / np.sqrt(power)).astype(np.float32)
    return scaled


@lru_cache(maxsize=len(CHANNELS))
def _chip_centres(channel: Channel) -> NDArray[np.float64]:
    """Canonical points [n, n, 2] as (x, y)."""
    axis = (np.arange(channel.chips) + 0.5) * channel.spacing - TORUS / 2
    return np.stack(np.meshgrid(axis, axis), axis=-1)


def _sample(plane: Values, to_work: Matrix, channel: Channel) -> tuple[NDArray[np.int64], Values]:
    at = cv2.perspectiveTransform(_chip_centres(channel), to_work).astype(np.float32)
    limit = np.array([plane.shape[1] - 1, plane.shape[0] - 1], np.float32) - _BORDER
    places = np.flatnonzero(np.all((at >= _BORDER) & (at <= limit), axis=-1))
    values: Values = cv2.remap(plane, at, None, cv2.INTER_LINEAR).ravel()[places]
    return places, values
