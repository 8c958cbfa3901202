"""The keyed pattern of one (key, id), rendered on a pixel grid (docs/spec/watermark.md, 7)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from watermark.coding import encode
from watermark.keys import MarkKey
from watermark.layout import (
    CHANNELS,
    PILOT_SHARE,
    PILOT_WAVES,
    SHORT_SIDE,
    TORUS,
    Channel,
    Pilot,
    band_pass,
    lay_chips,
    lay_pilot,
)
from watermark.payload import MediaId, encode_payload

_OVERSAMPLING = 4  # samples per chip of the torus on which pulses are laid before resampling
Grid = NDArray[np.floating]
Plane = NDArray[np.floating]


@lru_cache(maxsize=4)
def render(key: MarkKey, media_id: MediaId, height: int, width: int, stride: int) -> tuple[Plane, ...]:
    """The pattern of unit power in each channel, float32 [ceil(height / stride), ceil(width / stride)] each.

    Sample (i, j) lies at the centre of the square of stride x stride pixels that it stands for.
    """
    coded = 1.0 - 2.0 * encode(encode_payload(media_id, key.payload_seed))
    y, x = canonical_grid(height, width, stride)
    return tuple(_render_channel(key, coded, channel, y, x) for channel in CHANNELS)


def canonical_grid(height: int, width: int, stride: int) -> tuple[Grid, Grid]:
    """Canonical y of the rows and x of the columns of the strided grid of a picture."""
    unit = SHORT_SIDE / min(height, width)
    return _axis(height, stride) * unit, _axis(width, stride) * unit


def _axis(size: int, stride: int) -> Grid:
    centres = np.arange(-(-size // stride)) * stride + (stride - 1) / 2
    return centres - (size - 1) / 2


def _render_channel(key: MarkKey, coded: Grid, channel: Channel, y: Grid, x: Grid) -> Plane:
    chips = lay_chips(key.payload_seed, channel)
    amplitudes = chips.signs * coded[chips.bits]
    payload = render_chips(amplitudes, channel, y, x)
    waves = render_pilot(lay_pilot(key.pilot_seed, channel), y, x)
    pattern: Plane = np.sqrt(1 - PILOT_SHARE) * payload + np.sqrt(PILOT_SHARE) * waves
    return pattern.astype(np.float32)


def render_chips(amplitudes: Grid, channel: Channel, y: Grid, x: Grid) -> Plane:
    """What chips of these amplitudes, [n, n], send on a grid: unit power for amplitudes of +-1."""
    return _resample(_pulses(amplitudes, channel), y, x, channel)


def render_pilot(pilot: Pilot, y: Grid, x: Grid) -> Grid:
    """The pilot waves at unit power on a grid: float64 [len(y), len(x)]."""
    turn = 2j * np.pi / SHORT_SIDE
    across = np.exp(turn * np.outer(pilot.frequencies[:, 0], x) + 1j * pilot.phases[:, None])
    down = np.exp(turn * np.outer(y, pilot.frequencies[:, 1]))
    waves: Grid = np.sqrt(2 / PILOT_WAVES) * (down @ across).real
    return waves


def _pulses(amplitudes: Grid, channel: Channel) -> Plane:
    """Chips as pulses of expected unit power on the torus, four samples per chip; chip j is at sample 4 j."""
    n = channel.chips * _OVERSAMPLING
    spectrum = np.tile(
        np.fft.fft2(amplitudes), (_OVERSAMPLING, _OVERSAMPLING)
    )  # zero-stuffing repeats the spectrum
    f = np.fft.fftfreq(n) * _OVERSAMPLING
    response = band_pass(np.hypot(f[:, None], f[None, :]))
    response *= _OVERSAMPLING / np.sqrt(np.mean(response**2))
    return np.fft.ifft2(spectrum * response).real.astype(np.float32)


@lru_cache(maxsize=4)
def _pulse_response(n: int) -> Plane:
    """Band-pass of the pulses on the half plane of an rfft2, scaled so that chips of +-1 give unit power."""
    f = fft.fftfreq(n) * _OVERSAMPLING
    whole = band_pass(np.hypot(f[:, None], f[None, :]))
    response: Plane = whole[:, : n // 2 + 1] * (_OVERSAMPLING / np.sqrt(np.mean(whole**2)))
    return response.astype(np.float32)


def _resample(torus: Plane, y: Grid, x: Grid, channel: Channel) -> Plane:
    """Cubic interpolation (Keys, a = -1/2) of the torus at canonical rows y and columns x, wrapping round."""
    rows = _gather(torus, y, channel)
    return _gather(rows.T, x, channel).T


def _gather(values: Plane, at: Grid, channel: Channel) -> Plane:
    place = (at + TORUS / 2 - channel.spacing / 2) * _OVERSAMPLING / channel.spacing
    base = np.floor(place).astype(np.int64)
    t = (place - base)[:, None].astype(np.float32)
    weights = (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    size = len(values)
    total = np.zeros((len(at), *values.shape[1:]), np.float32)
    for k, weight in enumerate(weights):
        total += weight * values[(base + k - 1) % size]
    return total
