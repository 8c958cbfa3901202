"""Putting the mark into frames, in float, on their device (docs/spec/watermark.md, 8)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from watermark.errors import EmbeddingError
from watermark.keys import MarkKey
from watermark.mask import DEFAULT_STRENGTH, Strength, amplitudes
from watermark.pattern import render
from watermark.payload import MediaId

MIN_SHORT_SIDE = 128  # pixels: below, a chip is smaller than 3 pixels and no codec leaves it
MAX_ASPECT = 3.0  # wider pictures would meet the same chips twice
WORK_SHORT_SIDE = 320  # samples: the pattern ends at 54 cycles per short side, which these carry


@dataclass(frozen=True)
class Mark:
    """The mark of one medium: `key` and `media_id` say which, `strength` how strong."""

    key: MarkKey
    media_id: MediaId
    strength: Strength = DEFAULT_STRENGTH

    def apply(self, frames: Tensor, *, clip: bool | None = None) -> Tensor:
        """Marked copies of `frames`, [F, 3, H, W] float in [0, 1], sRGB; same shape, dtype and device.

        `clip` says whether the frames are one clip or pictures of their own; None takes more than one for a
        clip. Raises `EmbeddingError` for any other tensor, and for pictures too small or too narrow to hold
        the mark.
        """
        _check(frames)
        marked = frames.clone()
        is_clip = len(frames) > 1 if clip is None else clip
        for frame in torch.split(marked, 1):
            if frame.dtype == torch.float32:
                self._add_to(frame, clip=is_clip)
            else:
                frame.copy_(self._add_to(frame.float(), clip=is_clip))
        return marked

    def apply_to_decoded(self, decoded: Tensor, *, clip: bool) -> Tensor:
        """As `apply`, for [F, 3, H, W] in [-1, 1] as decoders give them; what overshoots is clipped."""
        _check(decoded)
        marked = torch.empty_like(decoded)
        for source, target in zip(torch.split(decoded, 1), torch.split(marked, 1), strict=True):
            # One frame stays in the processor's cache; a whole clip would go through memory six times.
            frame = source.float().mul(0.5).add_(0.5).clamp_(0, 1)
            target.copy_(self._add_to(frame, clip=clip).mul_(2).sub_(1))
        return marked

    def _add_to(self, frames: Tensor, *, clip: bool) -> Tensor:
        """Mark float32 frames in place. The pattern is laid in squares of `stride` pixels: at 320 of them
        or more along the short side their edges are far above its highest frequency, and below any
        visible step. How strong it may be changes more slowly still, and is found on squares of twice that.
        """
        height, width = frames.shape[-2:]
        stride = max(1, min(height, width) // WORK_SHORT_SIDE)
        planes = render(self.key, self.media_id, height, width, stride)
        luma, chroma = (torch.from_numpy(plane).to(frames.device) for plane in planes)
        small = _halved(frames[..., ::stride, ::stride])
        gains = amplitudes(small, self.strength, clip=clip)
        luma_gain, chroma_gain = (_doubled(gain, luma.shape) for gain in gains)
        _add_ycc(frames, luma_gain.mul_(luma), chroma_gain.mul_(chroma), stride)
        return frames.clamp_(0, 1)


def _halved(frames: Tensor) -> Tensor:
    """Means of squares of four; an odd last row or column stands for itself. Twice as fast as pooling."""
    rows = frames[..., ::2, :].clone()
    pairs = frames.shape[-2] // 2
    rows[..., :pairs, :].add_(frames[..., 1::2, :]).mul_(0.5)
    columns = rows[..., ::2].clone()
    pairs = frames.shape[-1] // 2
    columns[..., :pairs].add_(rows[..., 1::2]).mul_(0.5)
    return columns


def _doubled(plane: Tensor, shape: torch.Size) -> Tensor:
    """Each value of [F, 1, h, w] as a square of four, cut to `shape`, rows and columns."""
    return interpolate(plane, scale_factor=2, mode="nearest")[..., : shape[0], : shape[1]]


def _add_ycc(frames: Tensor, luma: Tensor, chroma: Tensor, stride: int) -> None:
    """Add a change of Y and Cb (BT.601), [F, 1, h, w] in squares of `stride` pixels, to R, G, B in place."""
    if stride == 1:
        frames.add_(luma)
        frames[:, 1:2].add_(chroma, alpha=-0.344136)
        frames[:, 2:3].add_(chroma, alpha=1.772)
    else:
        change = torch.cat([luma, luma - 0.344136 * chroma, luma + 1.772 * chroma], dim=1)
        _add_squares(frames, change, stride)


def _add_squares(frames: Tensor, change: Tensor, stride: int) -> None:
    """Add change[..., i // stride, j // stride] to frames[..., i, j]; whole squares by broadcasting, as a
    view.
    """
    height, width = frames.shape[-2:]
    rows, columns = height // stride, width // stride
    whole = frames[..., : rows * stride, : columns * stride]
    shape = (*whole.shape[:2], rows, stride, columns, stride)
    strides = (
        *whole.stride()[:2],
        stride * whole.stride(2),
        whole.stride(2),
        stride * whole.stride(3),
        whole.stride(3),
    )
    whole.as_strided(shape, strides).add_(change[..., :rows, None, :columns, None])
    across = torch.arange(width, device=frames.device) // stride
    down = torch.arange(rows * stride, device=frames.device) // stride
    frames[..., rows * stride :, :] += change[..., rows:, across]
    frames[..., : rows * stride, columns * stride :] += change[..., down, columns:]


def _check(frames: Tensor) -> None:
    if frames.ndim != 4 or frames.shape[1] != 3 or not frames.is_floating_point():
        raise EmbeddingError(f"frames must be float [F, 3, H, W], got {frames.dtype} {list(frames.shape)}")
    if len(frames) == 0:
        raise EmbeddingError("there are no frames to mark")
    short, long = sorted(frames.shape[-2:])
    if short < MIN_SHORT_SIDE:
        raise EmbeddingError(f"the short side is {short} pixels; the mark needs at least {MIN_SHORT_SIDE}")
    if long > MAX_ASPECT * short:
        raise EmbeddingError(
            f"{long} x {short} pixels is more than {MAX_ASPECT:g}:1; the mark needs a fuller picture"
        )
    if not math.isfinite(frames.sum(dtype=torch.float32)):  # four times as fast as looking at each value
        raise EmbeddingError("the frames hold NaN or infinity; the decode went wrong")
