"""What localisation answers: which id lies where, and when."""

from __future__ import annotations

from dataclasses import dataclass

from watermark.geometry import Geometry
from watermark.payload import MediaId


@dataclass(frozen=True, order=True)
class Span:
    """Seconds of a clip from `start` to `end`, counted from its first frame; 0 to 0 for a still."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Length."""
        return self.end - self.start


@dataclass(frozen=True, order=True)
class Box:
    """Pixels `left` <= x < `right`, `top` <= y < `bottom` of the examined picture."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Pixels inside."""
        return max(self.right - self.left, 0) * max(self.bottom - self.top, 0)

    def overlap(self, other: Box) -> float:
        """Shared area over joint area, 0 to 1."""
        shared = Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        ).area
        joint = self.area + other.area - shared
        return shared / joint if joint else 0.0


@dataclass(frozen=True)
class Located:
    """One id in one part of a medium.

    `log10_p` bounds, for any medium that does not carry this mark and over the random choice of the key, the
    chance of evidence this strong in any span and box that was open to choice; it is at most -6. `span` and
    `box` are estimates to about half a second and a sixteenth of the picture. `geometry` maps the marked
    original to pixels of the examined picture.
    """

    media_id: MediaId
    key_id: str
    span: Span
    box: Box
    log10_p: float
    geometry: Geometry
