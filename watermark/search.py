"""Blind search for the geometry of a mark (docs/spec/watermark.md, 9.3).

The pilot of a ring is a handful of plane waves. Their power picks linear maps, these are tried at every
shift with the phases, and the best of those are refined. Only the pilot is consulted. The signs of the
payload chips are independent of it, so however long the search, only the geometries at which a message is
read count as hypotheses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from watermark.frontend import Maps
from watermark.geometry import Matrix, aligned
from watermark.layout import CHANNELS, SHORT_SIDE, lay_pilot
from watermark.refine import Fit, Refiner
from watermark.spectral import Canvas, linear_maps

_SHIFT_STEP = 0.5  # canonical units: a fifth of the shortest chroma wave
_SHIFT_RANGE = (64.0, 48.0)  # units from the centre, x and y
_ANSWER_CAP = 3.0  # noise deviations
_REFINED_PICKS = 8
Complex = NDArray[np.complex64]
Real = NDArray[np.floating]


def search(maps: Maps, pilot_seed: bytes, picks: int) -> list[Fit]:
    """The `picks` geometries at which the pilot answers most strongly, best first. The picture as it stands
    and its mirror image are among those that are refined.
    """
    canvas = Canvas.of(maps)
    refiner = Refiner.of(maps, pilot_seed)
    aligner = _Aligner.of(maps, canvas, pilot_seed)
    coarse = [start for linear in linear_maps(canvas, refiner.pilots) for start in aligner.align(linear)]
    coarse.sort(key=lambda start: -start[0])
    to_pixels = np.linalg.inv(refiner.to_work)
    starts = [aligned(maps.height, maps.width, mirrored=mirrored) for mirrored in (False, True)]
    starts += [to_pixels @ canonical_to_work for _, canonical_to_work in coarse[:_REFINED_PICKS]]
    return sorted(refiner.refine(starts), key=_answer, reverse=True)[:picks]


def _answer(fit: Fit) -> float:
    """How strongly both channels answer together, whatever their shares."""
    return float(np.hypot(*np.maximum(fit.strengths, 0)))


@dataclass(frozen=True)
class _Aligner:
    """Finds the shift that belongs to a linear map: all shifts at once, as one product of phasors.

    `down` float32 [2, rows, 96] and `across` complex64 [2, 48, columns], by channel.
    """

    flat: Complex
    canvas: Canvas
    frequencies: Real
    down: NDArray[np.float32]
    across: Complex
    middle: Real
    unit: float

    @staticmethod
    def of(maps: Maps, canvas: Canvas, pilot_seed: bytes) -> _Aligner:
        height, width = maps.luma.shape
        pilots = [lay_pilot(pilot_seed, channel) for channel in CHANNELS]
        frequencies = np.stack([pilot.frequencies for pilot in pilots])
        phases = np.stack([pilot.phases for pilot in pilots])
        turn = -2j * np.pi / SHORT_SIDE
        down = np.exp(turn * _shift_axis(1)[None, :, None] * frequencies[:, None, :, 1])
        across = np.exp(turn * frequencies[..., :1] * _shift_axis(0) - 1j * phases[..., None])
        # The real part of a product of complex matrices, as one product of real ones.
        parts = np.concatenate([down.real, -down.imag], axis=-1).astype(np.float32)
        flat = np.pad(canvas.bins.reshape(len(CHANNELS), -1), ((0, 0), (0, 1)))
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        unit = min(height, width) / SHORT_SIDE
        return _Aligner(flat, canvas, frequencies, parts, across.astype(np.complex64), middle, unit)

    def align(self, linear: Real) -> list[tuple[float, Matrix]]:
        """Best shift for a linear map and for its half-turn: (answer in deviations, canonical to work)."""
        answers = self._answers(self.frequencies @ np.linalg.inv(linear))
        return [self._best_shift(answers, linear), self._best_shift(answers.conj(), -linear)]

    def _answers(self, waves: Real) -> Complex:
        places, conjugate = self.canvas.places(waves)
        bins = np.take_along_axis(self.flat, places, axis=1)
        bins = np.where(conjugate, bins.conj(), bins)
        limited: Complex = bins * np.minimum(1, _ANSWER_CAP / (np.abs(bins) + 1e-9))
        return limited

    def _best_shift(self, answers: Complex, linear: Real) -> tuple[float, Matrix]:
        turned = answers[..., None] * self.across
        planes = self.down @ np.concatenate([turned.real, turned.imag], axis=1)
        power = np.square(np.maximum(planes, 0, out=planes), out=planes).sum(axis=0)
        row, column = np.unravel_index(int(power.argmax()), power.shape)
        centre = np.array(
            [_shift_axis(0)[column], _shift_axis(1)[row]]
        )  # canonical point at the picture's centre
        matrix = np.eye(3)
        matrix[:2, :2] = linear * self.unit
        matrix[:2, 2] = self.middle - matrix[:2, :2] @ centre
        return float(np.sqrt(power[row, column] * 2 / answers.shape[1])), matrix


def _shift_axis(axis: int) -> Real:
    return np.arange(-_SHIFT_RANGE[axis], _SHIFT_RANGE[axis] + _SHIFT_STEP / 2, _SHIFT_STEP)
