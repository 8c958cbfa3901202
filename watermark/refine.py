"""Holding the pilot of a ring against the maps of a medium, and bending the geometry until it fits.

Within a small window a wrong geometry is a shift, which turns the phase of each wave. So the maps are
reduced once to one complex number per wave and window, and a homography is fitted to those by Gauss-Newton.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from watermark.frontend import Maps
from watermark.geometry import Matrix, project
from watermark.layout import CHANNELS, SHORT_SIDE, Pilot, lay_pilot

_WINDOWS = 4  # per axis
_NOISE_BINS = 9
_STEPS = 6  # Gauss-Newton steps per reduction
_WORTH = 6.0  # per parameter: what a freer model must add to the squared answer; noise adds about 1
_ANSWER_CAP = 4.0  # noise deviations of a wave over the whole map: a stronger answer is a line in the picture
_REACH = SHORT_SIDE / 2  # canonical units in which the fitted displacement is expressed
_RIDGE = 0.01  # of the mean curvature, so that a picture without any answer stays where it is
# Models as columns over the eight parameters of `_basis`: a similarity, an affinity, a homography.
_SIMILARITY = np.array(
    [[1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, 1, 0, 0], [0, 0, -1, 0, 1, 0, 0, 0]]
).T
_AFFINITY, _HOMOGRAPHY = np.eye(8)[:, :6], np.eye(8)
Real = NDArray[np.floating]
Complex = NDArray[np.complex128]
AnyComplex = TypeVar("AnyComplex", np.complex64, np.complex128)


@dataclass(frozen=True)
class Fit:
    """A geometry and the pilot's coherent answer there per channel, Y and Cb, in deviations of an unmarked
    picture.
    """

    canonical_to_pixels: Matrix
    strengths: Real


@dataclass(frozen=True)
class _Reduced:
    """Answers of the waves of both channels at n geometries, complex [n, 96, 16] (wave, window), at work
    positions `centres` [16, 2].
    """

    answers: Complex
    centres: Real


@dataclass(frozen=True)
class Refiner:
    """The pilots of one ring and the maps of one medium. `waves` float [96, 2] are the frequencies of both
    channels in radians per canonical unit, `phases` float [96, 1] their phases.

    Geometries are worked on together, n at a time: each alone is too little work for the calls that it takes.
    """

    pilots: tuple[Pilot, ...]
    planes: tuple[NDArray[np.float32], ...]
    noise: tuple[NDArray[np.float32], ...]
    to_work: Matrix
    waves: Real
    phases: Real

    @staticmethod
    def of(maps: Maps, pilot_seed: bytes) -> Refiner:
        planes = tuple(maps.plane(channel) for channel in CHANNELS)
        pilots = tuple(lay_pilot(pilot_seed, channel) for channel in CHANNELS)
        waves = np.concatenate([pilot.frequencies for pilot in pilots]) * (2 * np.pi / SHORT_SIDE)
        phases = np.concatenate([pilot.phases for pilot in pilots])[:, None]
        return Refiner(pilots, planes, tuple(_noise(plane) for plane in planes), maps.to_work, waves, phases)

    def measure(self, canonical_to_pixels: Sequence[Matrix]) -> list[Fit]:
        """The pilot's answer at geometries as they stand."""
        inverse = np.linalg.inv(self.to_work @ np.stack(canonical_to_pixels))
        strengths = self._strengths(self._reduce(inverse), inverse)
        return [Fit(*found) for found in zip(canonical_to_pixels, strengths, strict=True)]

    def refine(self, canonical_to_pixels: Sequence[Matrix]) -> list[Fit]:
        """The geometries near others at which the pilot answers most strongly: of each, the plainest model
        that explains it.
        """
        inverse: Matrix = np.linalg.inv(self.to_work @ np.stack(canonical_to_pixels))
        for _ in range(2):
            inverse = self._climb(self._reduce(inverse), inverse, _SIMILARITY)
        for model in (_AFFINITY, _HOMOGRAPHY):
            reduced = self._reduce(inverse)
            freer = self._climb(reduced, inverse, model)
            gain = self._power(reduced, freer) - self._power(reduced, inverse)
            inverse = np.where(gain[:, None, None] > 2 * _WORTH, freer, inverse)
        strengths = self._strengths(self._reduce(inverse), inverse)
        matrices = np.linalg.inv(self.to_work) @ np.linalg.inv(inverse)
        return [Fit(*found) for found in zip(matrices, strengths, strict=True)]

    def _climb(self, reduced: _Reduced, inverse: Matrix, model: Real) -> Matrix:
        for _ in range(_STEPS):
            inverse = self._step(reduced, inverse, model) @ inverse
            inverse /= inverse[:, 2:, 2:]
        return inverse

    def _power(self, reduced: _Reduced, inverse: Matrix) -> Real:
        """Square of the joint answer of both channels: float [n]."""
        joint = self._strengths(reduced, inverse).sum(axis=1)
        power: Real = np.maximum(joint, 0) ** 2 / len(self.pilots)
        return power

    def _reduce(self, inverse: Matrix) -> _Reduced:
        """Fourier sums of each window at the frequencies that the waves have at its centre, by the middle's
        Jacobian.
        """
        height, width = self.planes[0].shape
        rows, columns = _split(height), _split(width)
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        jacobian = _jacobian(inverse, middle) / SHORT_SIDE
        centres = np.array([[(c[0] + c[-1]) / 2, (r[0] + r[-1]) / 2] for r in rows for c in columns])
        answers = []
        for plane, pilot, noise in zip(self.planes, self.pilots, self.noise, strict=True):
            waves = pilot.frequencies @ jacobian  # [n, 48, 2]
            sums = _window_sums(plane, waves.reshape(-1, 2), rows, columns)
            answers.append(sums.reshape(*waves.shape[:2], -1) / _deviation(noise, waves, plane))
        joined = np.concatenate(answers, axis=1)
        total = np.abs(joined.sum(axis=2, keepdims=True))
        return _Reduced(joined * np.minimum(1, _ANSWER_CAP / (total + 1e-9)), centres)

    def _turned(self, reduced: _Reduced, inverse: Matrix) -> Complex:
        """Answers with the expected phases taken out: real and positive where the pilot lies as `inverse`
        says.
        """
        at = project(inverse, reduced.centres)
        phases = self.waves @ at.swapaxes(1, 2) + self.phases
        return reduced.answers * _unit(-phases, np.complex128)

    def _strengths(self, reduced: _Reduced, inverse: Matrix) -> Real:
        """float [n, 2], by channel."""
        real = self._turned(reduced, inverse).real.sum(axis=2)
        parts = np.split(real, len(self.pilots), axis=1)
        return np.stack([np.sqrt(2 / part.shape[1]) * part.sum(axis=1) for part in parts], axis=1)

    def _step(self, reduced: _Reduced, inverse: Matrix, model: Real) -> Matrix:
        """One Gauss-Newton step as homographies in canonical units, to be applied after `inverse`."""
        turned = self._turned(reduced, inverse)
        count, _, windows = turned.shape
        basis = _basis(project(inverse, reduced.centres) / _REACH) @ model  # [n, windows, 2, parameters]
        along = basis.transpose(0, 2, 1, 3).reshape(count, 2, -1)
        slopes = (self.waves @ along).reshape(count, len(self.waves) * windows, -1)
        gradient = turned.imag.reshape(count, 1, -1) @ slopes
        weight = np.maximum(turned.real, 0.25 * np.abs(turned)).reshape(count, -1, 1)
        curvature = (slopes * weight).swapaxes(1, 2) @ slopes
        size = curvature.shape[1]
        trace = np.trace(curvature, axis1=1, axis2=2)[:, None, None]
        ridge = np.eye(size) * (trace * _RIDGE / size + 1e-9)
        return _as_homography(np.linalg.solve(curvature + ridge, gradient.swapaxes(1, 2))[..., 0] @ model.T)


def _noise(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    power = np.abs(fft.rfft2(plane)) ** 2
    smooth: NDArray[np.float32] = ndimage.uniform_filter(power, _NOISE_BINS, mode="nearest") + 1e-9
    return smooth


def _deviation(noise: NDArray[np.float32], waves: Real, plane: NDArray[np.float32]) -> Real:
    """Noise deviation of a Fourier sum over the whole map at waves [n, 48, 2]: float [n, 48, 1]."""
    height, width = plane.shape
    waves = np.where(waves[..., :1] < 0, -waves, waves)
    row = np.rint(waves[..., 1] * height).astype(int) % height
    column = np.minimum(np.rint(waves[..., 0] * width).astype(int), noise.shape[1] - 1)
    deviation: Real = np.sqrt(noise[row, column].astype(np.float64))
    return deviation[..., None]


def _split(size: int) -> list[NDArray[np.int64]]:
    return list(np.array_split(np.arange(size), _WINDOWS))


def _window_sums(
    plane: NDArray[np.float32], waves: Real, rows: list[NDArray[np.int64]], columns: list[NDArray[np.int64]]
) -> Complex:
    """sum P(p) exp(-2 pi i g.(p - centre)) over each window: complex [waves, windows]."""
    turns = {size: _phasor(waves[:, 0], size) for size in {len(column) for column in columns}}
    across = np.concatenate([turns[len(column)] for column in columns], axis=1)
    down = {size: _phasor(waves[:, 1], size) for size in {len(row) for row in rows}}
    firsts = [column[0] for column in columns]
    strip = np.empty((len(waves), plane.shape[1]), np.complex64)
    sums = []
    for row in rows:
        turn, part = down[len(row)], plane[row[0] : row[-1] + 1]
        strip.real, strip.imag = turn.real @ part, turn.imag @ part  # half the work of one complex product
        sums.append(np.add.reduceat(np.multiply(strip, across, out=strip), firsts, axis=1))
    return np.concatenate(sums, axis=1).astype(np.complex128)


def _phasor(waves: Real, size: int) -> NDArray[np.complex64]:
    """exp(-2 pi i g x) over `size` places around 0: complex64 [waves, size]."""
    phase = np.outer(-2 * np.pi * waves, np.arange(size) - (size - 1) / 2).astype(np.float32)
    return _unit(phase, np.complex64)


def _unit(phase: Real, dtype: type[AnyComplex]) -> NDArray[AnyComplex]:
    """exp(i phase), three times as fast as a complex exponential."""
    unit = np.empty(phase.shape, dtype)
    unit.real, unit.imag = np.cos(phase), np.sin(phase)
    return unit


def _jacobian(homography: Matrix, point: Real) -> Real:
    """Derivative of projections [n, 3, 3] at a point: float [n, 2, 2]."""
    mapped = homography @ np.array([point[0], point[1], 1.0])
    x, y, w = mapped[:, :1], mapped[:, 1:2], mapped[:, 2:, None]
    at = np.concatenate([x, y], axis=1)[:, :, None] / w
    jacobian: Real = (homography[:, :2, :2] - at * homography[:, 2:, :2]) / w
    return jacobian


def _basis(at: Real) -> Real:
    """Displacement at points [..., 2] per parameter, float [..., 2, 8]: x shift and slopes, y shift and
    slopes, two of perspective.
    """
    x, y = at[..., 0], at[..., 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    along_x = np.stack([one, x, y, zero, zero, zero, x * x, x * y], axis=-1)
    along_y = np.stack([zero, zero, zero, one, x, y, x * y, y * y], axis=-1)
    return np.stack([along_x, along_y], axis=-2)


def _as_homography(step: Real) -> Matrix:
    """The homographies [n, 3, 3] with the displacements `step` [n, 8] to first order. A limit keeps one bad
    step from running away.
    """
    a = np.clip(step, -1.5, 1.5) / _REACH
    matrices = np.tile(np.eye(3), (len(a), 1, 1))
    matrices[:, :2, 2] = a[:, [0, 3]] * _REACH
    matrices[:, :2, :2] += a[:, [1, 2, 4, 5]].reshape(-1, 2, 2)
    matrices[:, 2, :2] = -a[:, 6:] / _REACH
    return matrices
