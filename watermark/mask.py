"""How much pattern the eye lets pass, per place (docs/spec/watermark.md, 8; the detector does not need to
know it).

Flat areas get an absolute amplitude and never more, however strong the rest is. Texture hides more, but
only where the whole neighbourhood is textured: a minimum filter keeps the gain of an edge from leaking into
the sky beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

# Power of the change in R, G and B, averaged, per unit power in Cb: (0.344^2 + 1.772^2) / 3 (BT.601).
CHROMA_POWER = 1.086
STILL_PSNR = 42.0  # dB
CLIP_PSNR = 44.0  # dB: frames add up in the detector, and the eye dwells on clips
_GREY_LEVELS = 255.0
_TEXTURE_WINDOW = 5  # samples: about two Cb chips
_ERODE = 5  # half samples: no gain within about 4 samples of a calm place
_SMOOTH = 3
_HEADROOM = 3.0  # grey levels from black or white at which the pattern has its full strength


@dataclass(frozen=True)
class Strength:
    """Amplitudes in grey levels rms (of 255). `flat_*` bind in flat areas, `peak_*` in the busiest ones.

    `psnr_floor` in dB bounds the whole frame from below after rounding to 8 bits; None chooses `STILL_PSNR`
    for single pictures and `CLIP_PSNR` for clips, whose frames add up in the detector.
    """

    flat_luma: float = 0.4
    flat_chroma: float = 1.0
    peak_luma: float = 1.8
    peak_chroma: float = 2.2
    psnr_floor: float | None = None

    def budget(self, *, clip: bool) -> float:
        """Largest mean square change per frame, grey levels squared, that keeps the floor after rounding."""
        floor = self.psnr_floor if self.psnr_floor is not None else (CLIP_PSNR if clip else STILL_PSNR)
        rounding = 2 / 12  # both pictures are rounded
        return (
            max(_GREY_LEVELS**2 / 10 ** (floor / 10) - rounding, 0.0) * 0.97
        )  # the pattern's own power scatters


DEFAULT_STRENGTH = Strength()


def amplitudes(small: Tensor, strength: Strength, *, clip: bool) -> tuple[Tensor, Tensor]:
    """Luma and chroma amplitude, [F, 1, h, w] each, for `small`, float32 [F, 3, h, w] in [0, 1]: frames
    shrunk to a short side of 160 to 320 or so.

    Units are those of `small`: one grey level is 1 / 255.
    """
    texture = _texture(_luma(small) * _GREY_LEVELS)
    luma = (strength.flat_luma + 0.16 * texture).clamp(max=strength.peak_luma)
    chroma = (strength.flat_chroma + 0.12 * texture).clamp(max=strength.peak_chroma)
    luma, chroma = luma * _headroom(small), chroma * _headroom(small[:, 2:3])
    power = (luma**2).mean((1, 2, 3)) + CHROMA_POWER * (chroma**2).mean((1, 2, 3))
    gain = (strength.budget(clip=clip) / power.clamp(min=1e-9)).sqrt().clamp(max=1.0) / _GREY_LEVELS
    gain = gain.view(-1, 1, 1, 1)
    return luma * gain, chroma * gain


def _luma(rgb: Tensor) -> Tensor:
    return 0.299 * rgb[:, 0:1] + 0.587 * rgb[:, 1:2] + 0.114 * rgb[:, 2:3]


def _texture(luma: Tensor) -> Tensor:
    """Local standard deviation, eroded and smoothed: the size of `luma`, computed on half of it."""
    mean, square = (_box(x, _TEXTURE_WINDOW, stride=2) for x in (luma, luma * luma))
    deviation = (square - mean * mean).clamp(min=0).sqrt()
    reach = _ERODE // 2
    calmest = -max_pool2d(max_pool2d(-deviation, (_ERODE, 1), 1, (reach, 0)), (1, _ERODE), 1, (0, reach))
    smooth = _box(calmest, _SMOOTH, stride=1)
    grown = interpolate(smooth, scale_factor=2, mode="bilinear", align_corners=False)
    return grown[..., : luma.shape[-2], : luma.shape[-1]]


def _box(x: Tensor, size: int, *, stride: int) -> Tensor:
    return avg_pool2d(x, size, stride, padding=size // 2, count_include_pad=False)


def _headroom(channels: Tensor) -> Tensor:
    """0 where any channel is black or white, 1 where all are `_HEADROOM` grey levels away from both."""
    nearest = torch.minimum(channels.amin(1, keepdim=True), 1 - channels.amax(1, keepdim=True))
    return (nearest * (_GREY_LEVELS / _HEADROOM)).clamp(0, 1)
