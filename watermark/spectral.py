"""Which linear maps a pilot may have gone through, by its power alone (docs/spec/watermark.md, 9.3).

A shift of the picture changes the phases of the waves only, so their power answers every scale, rotation,
reflection and stretch at once. Over the logarithm of frequency and over angle, a scale and a rotation are
shifts themselves: one resampling of the power spectrum serves every key, and a ring costs as many additions
of shifted copies as its pilot has waves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from watermark.frontend import Maps
from watermark.layout import CHANNELS, Pilot

MIN_ZOOM, MAX_ZOOM = 0.5, 3.4
_ZOOM_STEP = 0.006  # natural logarithm
_ANGLES = 480  # over half a turn: opposite directions share a power spectrum
_BAND = 72.0  # cycles per short side: pilots of pictures shrunk to half a frame end here
_LOWEST = 3.4  # pilots of pictures of which a third is left begin here
_STRETCHES = np.exp(
    0.024 * np.concatenate([np.arange(-15, 0), np.arange(1, 16)])
)  # width over height: .7 to 1.43
_STRETCH_ZOOMS = 2  # every second zoom is tried with a stretch
_POWER_CAP = 8.0  # times the local mean: a stronger bin is a line in the picture, not a pilot
_NOISE_BINS = 15
_PEAK = 7  # cells on which one peak extends
_PICKS = (16, 8, 8)  # of both channels together, of chroma, of luma
_UPRIGHT_PICKS = (
    12  # of upright pictures, and as many of stretched ones: rarer hypotheses, likelier in practice
)
Real = NDArray[np.floating]
Complex = NDArray[np.complex64]


@dataclass(frozen=True)
class Canvas:
    """Spectra of both channels with phases counted from the picture's centre, in steps of `step` cycles per
    short side as (y, x): `bins` complex64 [2, rows, columns] over the noise deviation, rows from -band
    to band, columns from 0.
    """

    bins: Complex
    step: tuple[float, float]

    @staticmethod
    def of(maps: Maps) -> Canvas:
        """One padded Fourier transform per map."""
        planes = [maps.plane(channel) for channel in CHANNELS]
        height, width = planes[0].shape
        short = min(height, width)
        rows, columns = (fft.next_fast_len(1 << (2 * size - 1).bit_length()) for size in (height, width))
        step = (short / rows, short / columns)
        last_row, last_column = (int(_BAND / s) for s in step)
        bins = []
        for plane in planes:
            spectrum = fft.rfft2(plane, (rows, columns))
            kept = np.concatenate(
                [spectrum[-last_row:, : last_column + 1], spectrum[: last_row + 1, : last_column + 1]]
            )
            power = np.abs(kept) ** 2
            kept /= np.sqrt(ndimage.uniform_filter(power, _NOISE_BINS, mode="nearest") + 1e-9)
            y = np.exp(2j * np.pi * np.arange(-last_row, last_row + 1) * ((height - 1) / 2 / rows))
            x = np.exp(2j * np.pi * np.arange(last_column + 1) * ((width - 1) / 2 / columns))
            bins.append((kept * y[:, None] * x[None, :]).astype(np.complex64))
        return Canvas(np.stack(bins), step)

    def places(self, waves: Real) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Flat cells of waves [..., 2] as (x, y) in cycles per short side, one beyond the last where they are
        out of band, and which of them are to be conjugated.
        """
        return _places(waves, self.bins.shape[1], self.bins.shape[2], self.step)

    def excess(self) -> NDArray[np.float32]:
        """Power of each cell above the noise, in noise powers: float32, shape of `bins`."""
        excess: NDArray[np.float32] = np.minimum(np.abs(self.bins) ** 2, _POWER_CAP) - np.float32(1)
        return excess


def linear_maps(canvas: Canvas, pilots: tuple[Pilot, ...]) -> list[Real]:
    """The maps [2, 2], canonical units to 64ths of the work short side, under which the waves show most
    power; each stands for itself and for its half-turn.
    """
    excess = canvas.excess()
    scores = _similarity_scores(excess, canvas, pilots)
    picked = {
        place: None
        for plane, picks in zip((scores.sum(axis=0), scores[1], scores[0]), _PICKS, strict=True)
        for place in _peaks(plane, picks)
    }
    upright = np.full_like(scores[0], -np.inf)
    for column in (0, _ANGLES // 2):
        near = np.arange(column - 1, column + 2) % _ANGLES
        upright[..., near] = scores.sum(axis=0)[..., near]
    picked |= dict.fromkeys(_peaks(upright, _UPRIGHT_PICKS))
    zooms = _zooms()
    similar = [
        zooms[zoom] * _turn(np.pi * angle / _ANGLES) @ np.diag([1.0 - 2 * flip, 1.0])
        for flip, zoom, angle in picked
    ]
    stretched = _stretched_scores(excess, canvas, pilots)
    return similar + [
        zooms[::_STRETCH_ZOOMS][zoom] * np.diag([(1.0 - 2 * flip) * _STRETCHES[stretch], 1.0])
        for flip, zoom, stretch in _peaks(stretched, _UPRIGHT_PICKS)
    ]


def _turn(angle: float) -> Real:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _zooms() -> Real:
    zooms: Real = np.exp(np.arange(np.log(MIN_ZOOM), np.log(MAX_ZOOM), _ZOOM_STEP))
    return zooms


@lru_cache(maxsize=8)
def _polar_grid(step: tuple[float, float], rows: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Canvas columns and rows of log-polar cells: float32 [frequencies, angles] each."""
    frequency = _LOWEST * np.exp(_ZOOM_STEP * np.arange(int(np.log(_BAND / _LOWEST) / _ZOOM_STEP) + 2))
    angle = np.pi * np.arange(_ANGLES) / _ANGLES
    x, y = np.outer(frequency, np.cos(angle)), np.outer(frequency, np.sin(angle))
    y = np.where(x < 0, -y, y)
    return np.abs(x / step[1]).astype(np.float32), (y / step[0] + rows // 2).astype(np.float32)


def _similarity_scores(
    excess: NDArray[np.float32], canvas: Canvas, pilots: tuple[Pilot, ...]
) -> NDArray[np.float32]:
    """Excess power at the waves: float32 [2 channels, 2 reflections, zooms, angles]."""
    count = len(_zooms())
    x, y = _polar_grid(canvas.step, excess.shape[1])
    scores = np.zeros((len(pilots), 2, count, _ANGLES), np.float32)
    for plane, pilot, score in zip(excess, pilots, scores, strict=True):
        polar = cv2.remap(plane, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0.0)
        polar = np.concatenate([polar, polar], axis=1)
        radius = np.hypot(*pilot.frequencies.T)
        first = np.rint(np.log(radius / (_LOWEST * MIN_ZOOM)) / _ZOOM_STEP).astype(int)
        angle = np.arctan2(pilot.frequencies[:, 1], pilot.frequencies[:, 0])
        for flip, turned in enumerate((angle, np.pi - angle)):
            start = np.rint(turned / np.pi * _ANGLES).astype(int) % _ANGLES
            for low, column in zip(first - count + 1, start, strict=True):
                score[flip] += polar[low : low + count, column : column + _ANGLES]
    return scores[:, :, ::-1]


def _stretched_scores(
    excess: NDArray[np.float32], canvas: Canvas, pilots: tuple[Pilot, ...]
) -> NDArray[np.float32]:
    """The same for upright pictures whose width was scaled: float32 [2 reflections, zooms, stretches]."""
    rows, columns = excess.shape[1:]
    flat = np.pad(excess.reshape(len(pilots), -1), ((0, 0), (0, 1)))
    waves = [tuple(map(tuple, pilot.frequencies.tolist())) for pilot in pilots]
    scores: NDArray[np.float32] = sum(
        plane.take(_stretched_places(along, rows, columns, canvas.step)).sum(axis=-1)
        for plane, along in zip(flat, waves, strict=True)
    )
    return scores


@lru_cache(maxsize=4)  # of one ring, for media of two sizes
def _stretched_places(
    waves: tuple[tuple[float, float], ...], rows: int, columns: int, step: tuple[float, float]
) -> NDArray[np.int32]:
    """Flat cells of the waves of a pilot: int32 [2 reflections, zooms, stretches, waves], 4 MB."""
    zooms, along = _zooms()[::_STRETCH_ZOOMS], np.array(waves)
    sides = np.array([1.0, -1.0])[:, None, None, None]
    x = sides / np.multiply.outer(zooms, _STRETCHES)[..., None] * along[:, 0]
    y = np.broadcast_to((along[:, 1] / zooms[:, None])[:, None], x.shape)
    return _places(np.stack([x, y], axis=-1), rows, columns, step)[0]


def _places(
    waves: Real, rows: int, columns: int, step: tuple[float, float]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    left = waves[..., 0] < 0
    sign = np.where(left, -1, 1)
    row = np.rint(sign * waves[..., 1] / step[0]).astype(np.int32) + rows // 2
    column = np.rint(sign * waves[..., 0] / step[1]).astype(np.int32)
    inside = (row >= 0) & (row < rows) & (column < columns)
    return np.where(inside, row * columns + column, rows * columns).astype(np.int32), left


def _peaks(scores: NDArray[np.float32], picks: int) -> list[tuple[int, ...]]:
    """The highest local maxima of scores [2, rows, columns]; columns close to a ring."""
    reach = _PEAK // 2
    ring = np.concatenate([scores[..., -reach:], scores, scores[..., :reach]], axis=-1)
    kernel = np.ones((_PEAK, _PEAK), np.uint8)
    highest = np.stack([cv2.dilate(plane, kernel)[:, reach:-reach] for plane in ring])
    peaks = np.where(scores >= highest, scores, -np.inf).ravel()
    best = np.argpartition(-peaks, picks)[:picks]
    return [
        tuple(int(i) for i in np.unravel_index(place, scores.shape))
        for place in best
        if peaks[place] > -np.inf
    ]
