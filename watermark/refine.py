"""Holding the pilot of a ring against the maps of a medium, and bending the geometry until it fits.

Within a small window a wrong geometry is a shift, which turns the phase of each wave. So the maps are
reduced once to one complex number per wave and window, and a homography is fitted to those by Gauss-Newton.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Fit:
    """A geometry and the pilot's coherent answer there per channel, Y and Cb, in deviations of an unmarked
    picture.
    """

    canonical_to_pixels: Matrix
    strengths: Real


@dataclass(frozen=True)
class _Reduced:
    """Answers of the waves of both channels, complex [96, 16] (wave, window), at work positions `centres`
    [16, 2].
    """

    answers: Complex
    centres: Real


@dataclass(frozen=True)
class Refiner:
    """The pilots of one ring and the maps of one medium."""

    pilots: tuple[Pilot, ...]
    planes: tuple[NDArray[np.float32], ...]
    noise: tuple[NDArray[np.float32], ...]
    to_work: Matrix

    @staticmethod
    def of(maps: Maps, pilot_seed: bytes) -> Refiner:
        planes = tuple(maps.plane(channel) for channel in CHANNELS)
        pilots = tuple(lay_pilot(pilot_seed, channel) for channel in CHANNELS)
        return Refiner(pilots, planes, tuple(_noise(plane) for plane in planes), maps.to_work)

    def measure(self, canonical_to_pixels: Matrix) -> Fit:
        """The pilot's answer at a geometry as it stands."""
        inverse = np.linalg.inv(self.to_work @ canonical_to_pixels)
        return Fit(canonical_to_pixels, self._strengths(self._reduce(inverse), inverse))

    def refine(self, canonical_to_pixels: Matrix) -> Fit:
        """The geometry near another at which the pilot answers most strongly: the plainest model that
        explains it.
        """
        inverse: Matrix = np.linalg.inv(self.to_work @ canonical_to_pixels)
        inverse = self._climb(self._reduce(inverse), inverse, _SIMILARITY)
        for model in (_SIMILARITY, _AFFINITY, _HOMOGRAPHY):
            reduced = self._reduce(inverse)
            freer = self._climb(reduced, inverse, model)
            gain = self._power(reduced, freer) - self._power(reduced, inverse)
            if model is _SIMILARITY or gain > 2 * _WORTH:
                inverse = freer
        strengths = self._strengths(self._reduce(inverse), inverse)
        return Fit(np.linalg.inv(self.to_work) @ np.linalg.inv(inverse), strengths)

    def _climb(self, reduced: _Reduced, inverse: Matrix, model: Real) -> Matrix:
        for _ in range(_STEPS):
            inverse = self._step(reduced, inverse, model) @ inverse
            inverse /= inverse[2, 2]
        return inverse

    def _power(self, reduced: _Reduced, inverse: Matrix) -> float:
        """Square of the joint answer of both channels."""
        return float(max(self._strengths(reduced, inverse).sum(), 0.0) ** 2 / len(self.pilots))

    def _reduce(self, inverse: Matrix) -> _Reduced:
        """Fourier sums of each window at the frequencies that the waves have at its centre, by the middle's
        Jacobian.
        """
        height, width = self.planes[0].shape
        rows, columns = _split(height), _split(width)
        middle = np.array([(width - 1) / 2, (height - 1) / 2])
        jacobian = _jacobian(inverse, middle) / SHORT_SIDE
        centres = np.array([[(c[0] + c[-1]) / 2, (r[0] + r[-1]) / 2] for r in rows for c in columns])
        answers = [
            _window_sums(plane, pilot.frequencies @ jacobian, rows, columns)
            / _deviation(noise, pilot, jacobian, plane)
            for plane, pilot, noise in zip(self.planes, self.pilots, self.noise, strict=True)
        ]
        joined = np.concatenate(answers)
        total = np.abs(joined.sum(axis=1, keepdims=True))
        return _Reduced(joined * np.minimum(1, _ANSWER_CAP / (total + 1e-9)), centres)

    def _turned(self, reduced: _Reduced, inverse: Matrix) -> Complex:
        """Answers with the expected phases taken out: real and positive where the pilot lies as `inverse`
        says.
        """
        at = project(inverse, reduced.centres)
        phases = [
            2 * np.pi / SHORT_SIDE * pilot.frequencies @ at.T + pilot.phases[:, None] for pilot in self.pilots
        ]
        turned: Complex = reduced.answers * np.exp(-1j * np.concatenate(phases))
        return turned

    def _strengths(self, reduced: _Reduced, inverse: Matrix) -> Real:
        real = self._turned(reduced, inverse).real.sum(axis=1)
        return np.array([np.sqrt(2 / len(part)) * part.sum() for part in np.split(real, len(self.pilots))])

    def _step(self, reduced: _Reduced, inverse: Matrix, model: Real) -> Matrix:
        """One Gauss-Newton step as a homography in canonical units, to be applied after `inverse`."""
        turned = self._turned(reduced, inverse)
        frequencies = np.concatenate([pilot.frequencies for pilot in self.pilots]) * (2 * np.pi / SHORT_SIDE)
        basis = _basis(project(inverse, reduced.centres) / _REACH) @ model  # [windows, 2, parameters]
        slopes = np.einsum("kd,wdp->kwp", frequencies, basis)
        slopes = slopes.reshape(turned.size, -1)
        gradient = turned.imag.ravel() @ slopes
        weight = np.maximum(turned.real, 0.25 * np.abs(turned)).ravel()
        curvature = (slopes * weight[:, None]).T @ slopes
        ridge = np.eye(len(gradient)) * (np.trace(curvature) * _RIDGE / len(gradient) + 1e-9)
        return _as_homography(model @ np.linalg.solve(curvature + ridge, gradient))


def _noise(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    power = np.abs(fft.rfft2(plane)) ** 2
    smooth: NDArray[np.float32] = ndimage.uniform_filter(power, _NOISE_BINS, mode="nearest") + 1e-9
    return smooth


def _deviation(noise: NDArray[np.float32], pilot: Pilot, jacobian: Real, plane: NDArray[np.float32]) -> Real:
    """Noise deviation of a Fourier sum over the whole map at each wave: float [48, 1]."""
    height, width = plane.shape
    waves = pilot.frequencies @ jacobian
    waves = np.where(waves[:, :1] < 0, -waves, waves)
    row = np.rint(waves[:, 1] * height).astype(int) % height
    column = np.minimum(np.rint(waves[:, 0] * width).astype(int), noise.shape[1] - 1)
    deviation: Real = np.sqrt(noise[row, column].astype(np.float64))
    return deviation[:, None]


def _split(size: int) -> list[NDArray[np.int64]]:
    return list(np.array_split(np.arange(size), _WINDOWS))


def _window_sums(
    plane: NDArray[np.float32], waves: Real, rows: list[NDArray[np.int64]], columns: list[NDArray[np.int64]]
) -> Complex:
    """sum P(p) exp(-2 pi i g.(p - centre)) over each window: complex [waves, windows]."""
    across = {size: _phasor(waves[:, 0], size) for size in {len(column) for column in columns}}
    down = {size: _phasor(waves[:, 1], size) for size in {len(row) for row in rows}}
    sums = []
    for row in rows:
        strip = down[len(row)] @ plane[row[0] : row[-1] + 1]
        sums += [
            np.einsum("nw,nw->n", strip[:, column[0] : column[-1] + 1], across[len(column)])
            for column in columns
        ]
    return np.stack(sums, axis=1).astype(np.complex128)


def _phasor(waves: Real, size: int) -> NDArray[np.complex64]:
    """exp(-2 pi i g x) over `size` places around 0: complex64 [waves, size]."""
    phase = np.outer(-2 * np.pi * waves, np.arange(size) - (size - 1) / 2).astype(np.float32)
    phasor = np.empty(phase.shape, np.complex64)
    phasor.real, phasor.imag = np.cos(phase), np.sin(phase)  # three times as fast as a complex exponential
    return phasor


def _jacobian(homography: Matrix, point: Real) -> Real:
    """Derivative of the projection at a point: float [2, 2]."""
    x, y, w = homography @ np.array([point[0], point[1], 1.0])
    jacobian: Real = (homography[:2, :2] - np.outer([x / w, y / w], homography[2, :2])) / w
    return jacobian


def _basis(at: Real) -> Real:
    """Displacement at points [n, 2] per parameter: x shift and slopes, y shift and slopes, two of
    perspective.
    """
    x, y = at[:, 0], at[:, 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    along_x = np.stack([one, x, y, zero, zero, zero, x * x, x * y], axis=-1)
    along_y = np.stack([zero, zero, zero, one, x, y, x * y, y * y], axis=-1)
    return np.stack([along_x, along_y], axis=1)


def _as_homography(step: Real) -> Matrix:
    """The homography with the displacement `step` to first order. A limit keeps one bad step from running
    away.
    """
    a = np.clip(step, -1.5, 1.5)
    r = _REACH
    return np.array(
        [
            [1 + a[1] / r, a[2] / r, a[0]],
            [a[4] / r, 1 + a[5] / r, a[3]],
            [-a[6] / r**2, -a[7] / r**2, 1],
        ]
    )
