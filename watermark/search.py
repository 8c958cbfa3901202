"""Blind search for the geometry of a mark (docs/spec/watermark.md, 9.3).

The pilot of a ring is a handful of plane waves. A shift of the picture changes their phases alone, so the
power spectrum, taken once, answers every scale, rotation and reflection by looking up one bin per wave. The
best of those are then tried at every shift with the phases, and the best of these are refined. Only the
pilot is consulted. The signs of the payload chips are independent of it, so however long the search, only
the geometries at which a message is read count as hypotheses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from watermark.frontend import Maps
from watermark.geometry import Matrix
from watermark.layout import CHANNELS, SHORT_SIDE, lay_pilot
from watermark.refine import Fit, Refiner

_MIN_ZOOM, _MAX_ZOOM, _ZOOM_STEP = 0.5, 3.4, 1.012
_ANGLE_STEP = 0.75  # degrees; opposite directions share a power spectrum, so half a turn is searched
_BAND = 72.0  # cycles per short side: pilots of pictures shrunk to half a frame end here
_POWER_CAP = 8.0  # times the local mean: a stronger bin is a line in the picture, not a pilot
_NOISE_BINS = 15
_SHIFT_STEP = 0.5  # canonical units: a fifth of the shortest chroma wave
_SHIFT_RANGE = (64.0, 48.0)  # units from the centre, x and y
_SPECTRAL_PICKS = (16, 8, 8)  # of both channels together, of chroma, of luma
_ANSWER_CAP = 3.0  # noise deviations
_REFINED_PICKS = 8
Complex = NDArray[np.complex64]


@dataclass(frozen=True)
class _Canvas:
    """Spectra of both channels with phases counted from the picture's centre, in steps of `step` cycles per
    short side as (y, x): `bins` complex64 [2, rows, columns] over the noise deviation, rows from -band
    to band, columns from 0.
    """

    bins: Complex
    step: tuple[float, float]


def search(maps: Maps, pilot_seed: bytes, picks: int) -> list[Fit]:
    """The `picks` geometries at which the pilot answers most strongly, best first."""
    canvas = _canvas(maps)
    refiner = Refiner.of(maps, pilot_seed)
    table = _hypotheses(pilot_seed, canvas.step, canvas.bins.shape[1:])
    aligner = _Aligner.of(maps, canvas, pilot_seed)
    coarse = [start for index in _pick(_scores(canvas, table), table.shape) for start in aligner.align(index)]
    coarse.sort(key=lambda start: -start[0])
    to_pixels = np.linalg.inv(refiner.to_work)
    fits = [refiner.refine(to_pixels @ canonical_to_work) for _, canonical_to_work in coarse[:_REFINED_PICKS]]
    return sorted(fits, key=lambda fit: -fit.strengths.sum())[:picks]


@dataclass(frozen=True)
class _Hypotheses:
    """Every linear map tried: `places` int32 [2][n, 48] into the flat canvas (its last cell stands for out
    of band).
    """

    places: tuple[NDArray[np.int32], ...]
    shape: tuple[int, int, int]  # reflections, zooms, angles


def _zooms() -> NDArray[np.floating]:
    count = int(np.log(_MAX_ZOOM / _MIN_ZOOM) / np.log(_ZOOM_STEP)) + 1
    return _MIN_ZOOM * _ZOOM_STEP ** np.arange(count)


def _angles() -> NDArray[np.floating]:
    angles: NDArray[np.floating] = np.radians(np.arange(0, 180, _ANGLE_STEP))
    return angles


def _canvas(maps: Maps) -> _Canvas:
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
    return _Canvas(np.stack(bins), step)


@lru_cache(maxsize=4)
def _hypotheses(pilot_seed: bytes, step: tuple[float, float], shape: tuple[int, int]) -> _Hypotheses:
    zooms, angles = _zooms(), _angles()
    places = []
    for channel in CHANNELS:
        frequencies = lay_pilot(pilot_seed, channel).frequencies
        per_reflection = []
        for flip in (1.0, -1.0):
            x = np.outer(np.cos(angles), flip * frequencies[:, 0]) - np.outer(
                np.sin(angles), frequencies[:, 1]
            )
            y = np.outer(np.sin(angles), flip * frequencies[:, 0]) + np.outer(
                np.cos(angles), frequencies[:, 1]
            )
            waves = np.stack([x, y], axis=-1)[None] / zooms[:, None, None, None]
            per_reflection.append(_places(waves, step, shape)[0])
        places.append(np.stack(per_reflection).reshape(-1, len(frequencies)))
    return _Hypotheses(tuple(places), (2, len(zooms), len(angles)))


def _places(
    waves: NDArray[np.floating], step: tuple[float, float], shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Flat canvas cells of waves [..., 2] as (x, y), and which of them are to be conjugated."""
    left = waves[..., 0] < 0
    sign = np.where(left, -1, 1)
    row = np.rint(sign * waves[..., 1] / step[0]).astype(np.int32) + shape[0] // 2
    column = np.rint(sign * waves[..., 0] / step[1]).astype(np.int32)
    inside = (row >= 0) & (row < shape[0]) & (column < shape[1])
    return np.where(inside, row * shape[1] + column, shape[0] * shape[1]).astype(np.int32), left


def _scores(canvas: _Canvas, table: _Hypotheses) -> NDArray[np.float32]:
    """Excess power at the waves of each hypothesis: float32 [2, reflections, zooms, angles], luma and
    chroma.
    """
    power = np.minimum(np.abs(canvas.bins) ** 2, _POWER_CAP).reshape(len(CHANNELS), -1) - 1
    power = np.pad(power, ((0, 0), (0, 1))).astype(np.float32)
    scores = [plane[places].sum(axis=1) for plane, places in zip(power, table.places, strict=True)]
    return np.stack(scores).reshape(-1, *table.shape)


def _pick(scores: NDArray[np.float32], shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Local maxima of both channels together, and of each alone, for pictures that lost the other."""
    chosen: dict[tuple[int, int, int], None] = {}
    for plane, picks in zip((scores.sum(axis=0), scores[1], scores[0]), _SPECTRAL_PICKS, strict=True):
        peaks = np.where(
            plane == ndimage.maximum_filter(plane, (1, 5, 5), mode=("constant", "constant", "wrap")),
            plane,
            -np.inf,
        )
        order = np.argpartition(-peaks.ravel(), picks)[:picks]
        for place in order:
            flip, zoom, angle = np.unravel_index(place, shape)
            chosen[int(flip), int(zoom), int(angle)] = None
    return list(chosen)


@dataclass(frozen=True)
class _Aligner:
    """Finds the shift that belongs to a linear map: all shifts at once, as one product of phasors."""

    canvas: _Canvas
    frequencies: NDArray[np.floating]
    down: Complex
    across: Complex
    middle: NDArray[np.floating]
    unit: float

    @staticmethod
    def of(maps: Maps, canvas: _Canvas, pilot_seed: bytes) -> _Aligner:
        height, width = maps.luma.shape
        pilots = [lay_pilot(pilot_seed, channel) for channel in CHANNELS]
        frequencies = np.concatenate([pilot.frequencies for pilot in pilots])
        phases = np.concatenate([pilot.phases for pilot in pilots])
        turn = -2j * np.pi / SHORT_SIDE
        down = np.exp(turn * np.outer(_shift_axis(1), frequencies[:, 1])).astype(np.complex64)
        across = np.exp(turn * np.outer(frequencies[:, 0], _shift_axis(0)) - 1j * phases[:, None]).astype(
            np.complex64
        )
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        return _Aligner(canvas, frequencies, down, across, middle, min(height, width) / SHORT_SIDE)

    def align(self, index: tuple[int, int, int]) -> list[tuple[float, Matrix]]:
        """Best shift for a hypothesis and for its half-turn: (answer in deviations, canonical to work)."""
        flip, zoom, angle = (1.0, -1.0)[index[0]], _zooms()[index[1]], _angles()[index[2]]
        linear = _rotation(angle) @ np.diag([flip, 1.0])
        answers = self._answers(self.frequencies @ linear.T / zoom)
        return [
            self._best_shift(answers, linear * zoom),
            self._best_shift(answers.conj(), -linear * zoom),
        ]

    def _answers(self, waves: NDArray[np.floating]) -> Complex:
        shape = self.canvas.bins.shape[1:]
        places, conjugate = _places(waves, self.canvas.step, (shape[0], shape[1]))
        flat = np.pad(self.canvas.bins.reshape(len(CHANNELS), -1), ((0, 0), (0, 1)))
        channel = np.repeat(np.arange(len(CHANNELS)), len(waves) // len(CHANNELS))
        bins = flat[channel, places]
        bins = np.where(conjugate, bins.conj(), bins)
        limited: Complex = bins * np.minimum(1, _ANSWER_CAP / (np.abs(bins) + 1e-9))
        return limited

    def _best_shift(self, answers: Complex, linear: NDArray[np.floating]) -> tuple[float, Matrix]:
        plane = (self.down @ (answers[:, None] * self.across)).real
        row, column = np.unravel_index(int(plane.argmax()), plane.shape)
        centre = np.array(
            [_shift_axis(0)[column], _shift_axis(1)[row]]
        )  # canonical point at the picture's centre
        matrix = np.eye(3)
        matrix[:2, :2] = linear * self.unit
        matrix[:2, 2] = self.middle - matrix[:2, :2] @ centre
        return float(plane[row, column] * np.sqrt(2 / len(answers))), matrix


def _rotation(angle: float) -> NDArray[np.floating]:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _shift_axis(axis: int) -> NDArray[np.floating]:
    return np.arange(-_SHIFT_RANGE[axis], _SHIFT_RANGE[axis] + _SHIFT_STEP / 2, _SHIFT_STEP)
