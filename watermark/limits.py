"""Limits on untrusted media."""

from __future__ import annotations

from dataclasses import dataclass

MIN_SIDE = 16  # pixels: nothing smaller shows a mark or a fingerprint


@dataclass(frozen=True)
class MediaLimits:
    """What a file may hold at most. The defaults fit one upload on a machine with 2 GB for the reader."""

    max_bytes: int = 1 << 30  # 1 GiB: ten minutes at 14 Mb/s
    max_pixels: int = 50_000_000  # per frame: 8K is 33 million, a camera picture 48 million
    max_frames: int = 36_000  # ten minutes at 60 per second
    max_seconds: float = 600.0


DEFAULT_LIMITS = MediaLimits()
