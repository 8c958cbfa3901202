"""A visible label in the picture, drawn before the mark: off unless the operator asks for it.

It is drawn where the mark goes in, so that no copy without it ever exists, and the mark covers it like any
other part of the picture. GB 45438-2025, 4, asks for a height of at least a twentieth of the short side, and
for words that name both AI and making; the words below do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from generator.errors import RequestError
from watermark import Mark, MarkKey, MediaId, Strength

WORDS: Final[Mapping[str, str]] = {
    "de": "KI-generiert",
    "en": "AI-generated",
    "es": "Generado por IA",
    "fr": "Produit par IA",
    "it": "Generato dall'IA",
    "ja": "AI生成",
    "ko": "AI 생성",
    "nl": "Gegenereerd door AI",
    "pl": "Wygenerowane przez AI",
    "pt": "Gerado por IA",
    "zh": "AI生成",
}
"""By language (ISO 639-1)."""
MIN_HEIGHT, MAX_HEIGHT = 0.02, 0.2
MAX_CHARS: Final = 60
_PLATE: Final = 0.55
"""Opacity of the dark plate behind white letters: legible on snow and on night."""
_UNKNOWN: Final = "\U0010fffe"


class Place(StrEnum):
    """The corner, or the edge, that the label stands in."""

    TOP_LEFT = "top-left"
    TOP = "top"
    TOP_RIGHT = "top-right"
    BOTTOM_LEFT = "bottom-left"
    BOTTOM = "bottom"
    BOTTOM_RIGHT = "bottom-right"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibleLabel:
    """`text` overrules the words of `language`. `height` of the letters as a share of the short side. `font`
    is a TrueType or OpenType file; without one, letters of Latin script alone can be drawn.

    Raises `RequestError` for words that cannot be drawn.
    """

    place: Place = Place.BOTTOM_RIGHT
    language: str = "en"
    text: str = ""
    height: float = 0.05
    font: Path | None = None

    def __post_init__(self) -> None:
        if not MIN_HEIGHT <= self.height <= MAX_HEIGHT:
            raise RequestError(
                f"visible label, height: {self.height:g}; "
                f"give {MIN_HEIGHT:g} to {MAX_HEIGHT:g} of the short side"
            )
        if not self.text and self.language not in WORDS:
            raise RequestError(
                f"visible label, language: {self.language!r}; give a text, or one of {', '.join(WORDS)}"
            )
        if len(self.words) > MAX_CHARS or not self.words.isprintable():
            raise RequestError(f"visible label, text: give at most {MAX_CHARS} characters on one line")
        font = _font(self.font, 24)
        missing = "".join(dict.fromkeys(c for c in self.words if not c.isspace() and not _has(font, c)))
        if missing:
            name = self.font or "the built-in font"
            raise RequestError(f"visible label: {name} has no letters {missing}; give a font that does")

    @property
    def words(self) -> str:
        """What is drawn."""
        return self.text or WORDS[self.language]

    def drawn_on(self, frames: torch.Tensor, *, low: float = 0.0, span: float = 1.0) -> None:
        """Draw into [F, 3, H, W] float, black at `low` and white at `low + span`, where it lies."""
        height, width = frames.shape[-2:]
        ink, cover, top, left = _stamp(self, height, width)
        rows, columns = ink.shape
        part = frames[:, :, top : top + rows, left : left + columns]
        light = torch.from_numpy(ink).to(frames) * span + low
        opacity = torch.from_numpy(cover).to(frames)
        part.mul_(1 - opacity).add_(light * opacity)


@dataclass(frozen=True, kw_only=True)
class LabelledMark(Mark):
    """The mark of a medium that is drawn on first."""

    label: VisibleLabel

    def apply(
        self, frames: torch.Tensor, *, clip: bool | None = None, in_place: bool = False
    ) -> torch.Tensor:
        """As `Mark.apply`, with the label."""
        drawn = frames if in_place else frames.clone()
        self.label.drawn_on(drawn)
        return super().apply(drawn, clip=clip, in_place=True)

    def apply_to_decoded(self, decoded: torch.Tensor, *, clip: bool, in_place: bool = False) -> torch.Tensor:
        """As `Mark.apply_to_decoded`, with the label."""
        drawn = decoded if in_place else decoded.clone()
        self.label.drawn_on(drawn, low=-1.0, span=2.0)
        return super().apply_to_decoded(drawn, clip=clip, in_place=True)


class Stated(TypedDict):
    """The fields of `ManifestFacts` that labels fill."""

    visible_label: str | None
    aigc_producer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelling:
    """What an operator has written on and into every file that AI made: `visible` on the picture, and the
    AIGC label of GB 45438-2025 with `aigc_producer` in its metadata. The IPTC source type is always written.
    """

    visible: VisibleLabel | None = None
    aigc_producer: str | None = None

    def facts(self, mime: str) -> Stated:
        """What the manifest of a file of this type says of it."""
        drawn = self.visible is not None and not mime.startswith("audio/")
        words = self.visible.words if self.visible is not None and drawn else None
        return {"visible_label": words, "aigc_producer": self.aigc_producer}

    def mark(self, key: MarkKey, media_id: MediaId, strength: Strength) -> Mark:
        """The mark of a medium, with the label where there is one."""
        if self.visible is None:
            return Mark(key, media_id, strength)
        return LabelledMark(key, media_id, strength, label=self.visible)


@lru_cache(maxsize=8)  # every frame of a clip has the same
def _stamp(
    label: VisibleLabel, height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], int, int]:
    """Grey values and opacity of the label, both [rows, columns] in [0, 1], and where its corner lies."""
    short = min(height, width)
    size = max(8, round(label.height * short))
    font = _font(label.font, size)
    left, top, right, bottom = font.getbbox(label.words)
    pad = max(2, size // 3)
    while right - left + 2 * pad > width and size > 8:  # a long text on a narrow picture is set smaller
        size -= 1
        font = _font(label.font, size)
        left, top, right, bottom = font.getbbox(label.words)
    rows, columns = round(bottom - top) + 2 * pad, min(width, round(right - left) + 2 * pad)
    letters = Image.new("L", (columns, rows))
    ImageDraw.Draw(letters).text((pad - left, pad - top), label.words, fill=255, font=font)
    ink = np.asarray(letters, np.float32) / np.float32(255)
    margin = max(2, short // 40)
    y = margin if label.place.startswith("top") else height - rows - margin
    x = margin if label.place.endswith("left") else width - columns - margin
    if label.place in (Place.TOP, Place.BOTTOM):
        x = (width - columns) // 2
    return ink, np.maximum(ink, np.float32(_PLATE)), max(0, y), max(0, x)


@lru_cache(maxsize=16)
def _font(path: Path | None, size: int) -> ImageFont.FreeTypeFont:
    try:
        font = ImageFont.load_default(size) if path is None else ImageFont.truetype(str(path), size)
    except OSError as error:
        raise RequestError(f"visible label, font: {path}: cannot be read: {error}") from error
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RequestError("visible label: this Pillow has no FreeType; install one that has")
    return font


def _has(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    """Whether a font draws a letter as anything but the box that stands for all it does not know."""
    return bytes(font.getmask(letter)) != bytes(font.getmask(_UNKNOWN))
