"""How much pattern the eye lets pass, per place (docs/spec/watermark.md, 8; the detector does not need to
know it).

Flat areas get an absolute amplitude and never more, however strong the rest is. Texture hides more, but
only where the whole neighbourhood is textured: a minimum filter keeps the gain of an edge from leaking into
the sky beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor
from torch.linalg import vecdot
from torch.nn.functional import interpolate, pad

# Power of the change in R, G and B, averaged, per unit power in Cb: (0.344^2 + 1.772^2) / 3 (BT.601).
CHROMA_POWER = 1.086
STILL_PSNR = 42.0  # dB
CLIP_PSNR = 44.0  # dB: frames add up in the detector, and the eye dwells on clips
STILL_SSIM = 0.9915  # by estimate; binds in small pictures with large smooth areas (true to .0017, measured)
_GREY_LEVELS = 255.0
_TEXTURE_WINDOW = 5  # samples: about two Cb chips
_ERODE = 5  # half samples: no gain within about 4 samples of a calm place
_SMOOTH = 3
# Structural similarity: Wang et al., IEEE Trans. Image Process. 13(4), 2004.
_SSIM_C2 = (0.03 * 255) ** 2
_SSIM_WINDOW = 1.5  # pixels, deviation of its Gaussian window
_RMS_FREQUENCY = (31.8, 18.4)  # cycles per short side of the patterns of luma and chroma
_ROUNDING = 2 / 12  # grey levels squared: both pictures are rounded to 8 bits
_GRADIENT = 0.7  # grey levels of texture that a smooth sky has, for it gets brighter towards the horizon
_GRAIN_SLOPE = 1.0  # from `smooth_chroma` there to `flat_chroma` half a grey level further
_MOST_TIMES = 1.8
_HEADROOM = 3.0  # grey levels from black or white at which the pattern has its full strength


@dataclass(frozen=True)
class Strength:
    """Amplitudes in grey levels rms (of 255). `flat_*` bind in flat areas, `smooth_chroma` in pictures where
    not even grain hides a tint, `peak_*` in the busiest places, up to 1.8 times over where the budget allows.

    `psnr_floor` in dB bounds the whole frame from below after rounding to 8 bits; None chooses `STILL_PSNR`
    for single pictures and `CLIP_PSNR` for clips, whose frames add up in the detector.
    """

    flat_luma: float = 0.4
    flat_chroma: float = 1.0
    peak_luma: float = 1.8
    peak_chroma: float = 2.2
    psnr_floor: float | None = None
    smooth_chroma: float = 0.5

    def budget(self, *, clip: bool) -> float:
        """Largest mean square change per frame, grey levels squared, that keeps the floor after rounding."""
        floor = self.psnr_floor if self.psnr_floor is not None else (CLIP_PSNR if clip else STILL_PSNR)
        return (
            max(_GREY_LEVELS**2 / 10 ** (floor / 10) - _ROUNDING, 0.0) * 0.97
        )  # the pattern's own power scatters


DEFAULT_STRENGTH = Strength()


def amplitudes(small: Tensor, strength: Strength, *, short_side: int, clip: bool) -> tuple[Tensor, Tensor]:
    """Luma and chroma amplitude, [F, 1, h, w] each, for `small`, float32 [F, 3, h, w] in [0, 1]: frames
    of `short_side` pixels, shrunk to 160 to 320 or so.

    Units are those of `small`: one grey level is 1 / 255.
    """
    deviation = _deviation(_luma(small) * _GREY_LEVELS)
    texture = _grown(_calmest(deviation), small)
    head, head_blue = _headroom(small), _headroom(small[:, 2:3])
    # Clips are seen through a codec, which takes tints from smooth places first, and need what is left.
    smooth = strength.flat_chroma if clip else strength.smooth_chroma
    grain = smooth + _GRAIN_SLOPE * (texture - _GRADIENT).clamp(min=0)
    grain = grain.clamp(max=strength.flat_chroma)
    luma = _Part(
        strength.flat_luma * head, (0.16 * texture).clamp(max=strength.peak_luma - strength.flat_luma) * head
    )
    chroma = _Part(
        grain * head_blue,
        (0.12 * texture).clamp(max=strength.peak_chroma - strength.flat_chroma) * head_blue,
    )
    powers = luma.powers() + CHROMA_POWER * chroma.powers()
    usual = powers.sum((1, 2)).clamp(min=1e-9)
    most = torch.full_like(usual, strength.budget(clip=clip))
    if not clip:
        share = _within_ssim(luma.at(1.0), chroma.at(1.0), _grown(deviation, small), short_side)
        most = torch.minimum(most, usual * share)
    times = _texture_times(powers, most)
    gain = (most / usual).clamp(max=1.0).sqrt().view(-1, 1, 1, 1) / _GREY_LEVELS
    return luma.at(times) * gain, chroma.at(times) * gain


@dataclass(frozen=True)
class _Part:
    """The amplitude of one channel: `calm`, which every place has, and `busy`, what texture adds."""

    calm: Tensor
    busy: Tensor

    def at(self, times: Tensor | float) -> Tensor:
        """With the part of the texture so many times as large."""
        return self.calm + times * self.busy

    def powers(self) -> Tensor:
        """Mean products of the two parts with each other and themselves: [F, 2, 2]."""
        calm, busy = self.calm.flatten(1), self.busy.flatten(1)
        products = [vecdot(one, other) for one, other in ((calm, calm), (calm, busy), (busy, busy))]
        return torch.stack([*products[:2], *products[1:]], 1).reshape(-1, 2, 2) / calm.shape[-1]


def _texture_times(powers: Tensor, most: Tensor) -> Tensor:
    """How much stronger texture may be marked until the power is `most`: [F, 1, 1, 1], from 1 up.

    What a calm picture leaves of its budget goes where the eye sees least, and never where it sees most.
    """
    calm, cross, busy = powers[:, 0, 0], powers[:, 0, 1], powers[:, 1, 1].clamp(min=1e-12)
    root = (cross * cross - busy * (calm - most)).clamp(min=0).sqrt()
    return ((root - cross) / busy).clamp(1.0, _MOST_TIMES).view(-1, 1, 1, 1)


def _within_ssim(luma: Tensor, chroma: Tensor, deviation: Tensor, short_side: int) -> Tensor:
    """By how much the power of the change may be scaled for the sake of structural similarity: [F].

    An independent change of which n^2 varies within the window costs a place of variance v the share
    n^2 / (2 v + C2), to first order. What is slower than the window changes its mean and costs nothing.
    """
    seen_luma, seen_chroma = (
        1 - math.exp(-((2 * math.pi * _SSIM_WINDOW * f / short_side) ** 2)) for f in _RMS_FREQUENCY
    )
    sensitivity = 1 / (2 * deviation**2 + _SSIM_C2)
    power = seen_luma * luma**2 + seen_chroma * CHROMA_POWER * chroma**2
    allowed = 1 - STILL_SSIM - _ROUNDING * sensitivity.mean((1, 2, 3))
    return allowed.clamp(min=0) / (power * sensitivity).mean((1, 2, 3)).clamp(min=1e-9)


def _luma(rgb: Tensor) -> Tensor:
    return 0.299 * rgb[:, 0:1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:3]


def _deviation(luma: Tensor) -> Tensor:
    """Local standard deviation of `luma`, on half its size."""
    mean, square = (_box(x, _TEXTURE_WINDOW, stride=2) for x in (luma, luma * luma))
    return (square - mean * mean).clamp(min=0).sqrt()


def _calmest(deviation: Tensor) -> Tensor:
    """Eroded and smoothed: what the calmest place around has."""
    for dim in (-2, -1):
        deviation = reduce(torch.minimum, _slid(deviation, _ERODE, 1, dim, beyond=math.inf))
    return _box(deviation, _SMOOTH, stride=1)


def _grown(half: Tensor, like: Tensor) -> Tensor:
    grown = interpolate(half, scale_factor=2, mode="bilinear", align_corners=False)
    return grown[..., : like.shape[-2], : like.shape[-1]]


def _box(x: Tensor, size: int, *, stride: int) -> Tensor:
    """Means over squares of `size`, of what of them lies inside."""
    for dim in (-2, -1):
        ones = x.new_ones((x.shape[dim], 1) if dim == -2 else (1, x.shape[dim]))
        total, inside = (reduce(torch.add, _slid(each, size, stride, dim)) for each in (x, ones))
        x = total / inside
    return x


def _slid(x: Tensor, size: int, stride: int, dim: int, *, beyond: float = 0.0) -> list[Tensor]:
    """The elements of windows of `size` along `dim`, -1 or -2: the first of each window, the second, and so
    on. To combine them takes a third of the time of pooling on a processor.
    """
    reach = size // 2
    padded = pad(x, (reach, reach) if dim == -1 else (0, 0, reach, reach), value=beyond)
    last = (x.shape[dim] - 1) // stride * stride
    views = (padded.narrow(dim, first, last + 1) for first in range(size))
    return [view[..., ::stride] if dim == -1 else view[..., ::stride, :] for view in views]


def _headroom(channels: Tensor) -> Tensor:
    """0 where any channel is black or white, 1 where all are `_HEADROOM` grey levels away from both."""
    planes = torch.split(channels, 1, 1)  # several times faster than a minimum along a short dimension
    nearest = torch.minimum(reduce(torch.minimum, planes), 1 - reduce(torch.maximum, planes))
    return (nearest * (_GREY_LEVELS / _HEADROOM)).clamp(0, 1)
