"""Putting the mark into frames, in float, on their device (docs/spec/watermark.md, 8)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from watermark.errors import EmbeddingError
from watermark.keys import MarkKey
from watermark.mask import DEFAULT_STRENGTH, Strength, amplitudes
from watermark.pattern import render
from watermark.payload import MediaId

MIN_SHORT_SIDE = 128  # pixels: below, a chip is smaller than 3 pixels and no codec leaves it
MAX_ASPECT = 3.0  # wider pictures would meet the same chips twice
WORK_SHORT_SIDE = 320  # samples: the pattern ends at 54 cycles per short side, which these carry
BAND_ROWS = 128  # pixels: what is added for a band of 1280 columns stays in a processor's cache
_CHROMA_SHARES = (0.0, -0.344136, 1.772)  # of Cb in R, G and B (BT.601)


@dataclass(frozen=True)
class Mark:
    """The mark of one medium: `key` and `media_id` say which, `strength` how strong."""

    key: MarkKey
    media_id: MediaId
    strength: Strength = DEFAULT_STRENGTH

    def apply(self, frames: Tensor, *, clip: bool | None = None, in_place: bool = False) -> Tensor:
        """Marked copies of `frames`, [F, 3, H, W] float in [0, 1], sRGB; same shape, dtype and device.

        `clip` says whether the frames are one clip or pictures of their own; None takes more than one for a
        clip. `in_place` overwrites `frames`: half the memory, and on a processor two thirds of the time, for
        fresh pages cost as much as the arithmetic. Raises `EmbeddingError` for any other tensor, and for
        pictures too small or too narrow to hold the mark.
        """
        _check(frames)
        is_clip = len(frames) > 1 if clip is None else clip
        marked = frames if in_place else torch.empty_like(frames)
        self._write(frames, marked, _Levels(0.0, 1.0), clip=is_clip)
        return marked

    def apply_to_decoded(self, decoded: Tensor, *, clip: bool, in_place: bool = False) -> Tensor:
        """As `apply`, for [F, 3, H, W] in [-1, 1] as decoders give them; what overshoots is clipped."""
        _check(decoded)
        marked = decoded if in_place else torch.empty_like(decoded)
        self._write(decoded, marked, _Levels(-1.0, 2.0), clip=clip)
        return marked

    def _write(self, frames: Tensor, marked: Tensor, levels: _Levels, *, clip: bool) -> None:
        """The pattern is laid in squares of `stride` pixels: at 320 of them or more along the short side
        their edges are far above its highest frequency, and below any visible step. How strong it may be
        changes more slowly still, and is found on squares of twice that.
        """
        height, width = frames.shape[-2:]
        stride = max(1, min(height, width) // WORK_SHORT_SIDE)
        planes = render(self.key, self.media_id, height, width, stride)
        pattern = torch.stack([torch.from_numpy(plane).to(frames.device) for plane in planes])
        pattern = _widened(pattern, stride, width)
        for source, target in zip(frames, marked, strict=True):
            small = _halved(levels.to_unit(source[:, ::stride, ::stride].float()))
            gains = amplitudes(small[None], self.strength, short_side=min(height, width), clip=clip)
            gain = _widened(torch.cat(gains)[:, 0], 2 * stride, width).mul_(levels.span)
            _add(source, target, pattern, gain, stride, levels)


@dataclass(frozen=True)
class _Levels:
    """How pixel values are written: black at `low`, white at `low + span`."""

    low: float
    span: float

    def to_unit(self, values: Tensor) -> Tensor:
        """The same pixels with black at 0 and white at 1; what overshoots is clipped."""
        return values.sub(self.low).div_(self.span).clamp_(0, 1)

    def clip(self, values: Tensor, out: Tensor) -> None:
        torch.clamp(values, self.low, self.low + self.span, out=out)


def _halved(frame: Tensor) -> Tensor:
    """Means of squares of four of [3, h, w]; an odd last row or column stands for itself. Twice as fast as
    pooling."""
    rows = frame[:, ::2].clone()
    pairs = frame.shape[-2] // 2
    rows[:, :pairs].add_(frame[:, 1::2]).mul_(0.5)
    columns = rows[..., ::2].clone()
    pairs = frame.shape[-1] // 2
    columns[..., :pairs].add_(rows[..., 1::2]).mul_(0.5)
    return columns


def _widened(planes: Tensor, times: int, width: int) -> Tensor:
    """Each value of [n, h, w] `times` times along its row, cut to `width`."""
    return planes.repeat_interleave(times, dim=-1)[..., :width].contiguous()


def _add(source: Tensor, target: Tensor, pattern: Tensor, gain: Tensor, stride: int, levels: _Levels) -> None:
    """Write [3, H, W] with the pattern into `target`. `pattern` is Y and Cb in rows of `stride` pixels,
    `gain` in rows of twice that. On a processor the frame goes through its cache band by band, and through
    memory once.
    """
    height = source.shape[-2]
    rows = 2 * stride
    step = max(BAND_ROWS // rows, 1) if source.device.type == "cpu" else len(gain[0])
    for first in range(0, len(gain[0]), step):
        top, bottom = first * rows, min((first + step) * rows, height)
        band, place = source[:, top:bottom], target[:, top:bottom]
        if not math.isfinite(band.sum(dtype=torch.float32)):  # four times as fast as looking at each value
            raise EmbeddingError("the frames hold NaN or infinity; the decode went wrong")
        change = pattern[:, 2 * first : 2 * (first + step)]
        change = change * gain[:, first : first + step].repeat_interleave(2, dim=1)[:, : change.shape[1]]
        work = place if place.dtype == torch.float32 else band.float()
        levels.clip(band.float(), work)
        _add_ycc(work, change[0], change[1], stride)
        levels.clip(work, work)
        if work is not place:
            place.copy_(work)


def _add_ycc(band: Tensor, luma: Tensor, chroma: Tensor, stride: int) -> None:
    """Add a change of Y and Cb (BT.601), [rows, W], each row for `stride` of them, to [3, H, W] in place."""
    for color, share in zip(band, _CHROMA_SHARES, strict=True):
        change = torch.add(luma, chroma, alpha=share) if share else luma
        whole = len(color) // stride
        color[: whole * stride].unflatten(0, (whole, stride)).add_(change[:whole, None])
        color[whole * stride :].add_(change[whole:])


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
