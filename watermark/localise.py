"""Which seconds of a clip, and which region of a picture, carry which id (docs/spec/watermark.md, 12).

A medium is cut into blocks of about half a second, whose maps add up to those of any span. The whole is
examined first, then halves of its time, quarters and so on, then windows of half its size. Where an id is
found, its own chips are held against every block and cell, which tells where the evidence comes from; that
part is taken out and the rest examined again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from watermark.coding import encode
from watermark.detect import Detection, Detector
from watermark.errors import DetectionError
from watermark.evidence import CELLS, Cells, Evidence, Range, best_range, best_rectangle, find_hole
from watermark.frontend import AT_ONCE, Maps
from watermark.geometry import Geometry
from watermark.keys import KeyRing, MarkKey
from watermark.layout import CHANNELS, lay_chips
from watermark.located import Box, Located, Span
from watermark.payload import encode_payload
from watermark.refine import Refiner
from watermark.soft_bits import ChipReader
from watermark.statistics import LOG10_P_DETECTED, log10_multiplicity, message_log10_p
from watermark.timeline import Timeline, read_timeline

MAX_IDS = 4
MAX_EXAMINED = 32  # windows, each up to a search: what a hostile file may cost
SHORTEST = 2  # blocks
_GEOMETRIES = 6  # read per ring and window, at most (`Detector`: two aligned, four searched)
_ROUNDS = 3  # of fitting span and box to one another
_WHOLE: Cells = (0, 0, CELLS, CELLS)
_HALF, _QUARTER = CELLS // 2, CELLS // 4
_CORNERS_FIRST = sorted(
    product((0, _QUARTER, _HALF), repeat=2), key=lambda at: (at[0] == _QUARTER) + (at[1] == _QUARTER)
)
_WINDOWS: tuple[Cells, ...] = tuple((y, x, y + _HALF, x + _HALF) for y, x in _CORNERS_FIRST)


@dataclass(frozen=True)
class _Part:
    """A part of the medium that one mark explains: blocks `span`, cells `cells` but for those in `hole`,
    where something else may lie.
    """

    key: MarkKey
    found: Detection
    span: Range
    cells: Cells
    hole: Cells | None
    log10_p: float

    def holds(self, other: _Part) -> bool:
        """Whether `other` is but a remainder of this part."""
        return (
            (self.key, self.found.media_id) == (other.key, other.found.media_id)
            and self.span[0] < other.span[1]
            and other.span[0] < self.span[1]
            and all(near <= far for near, far in zip(self.cells[:2], other.cells[:2], strict=True))
            and all(near >= far for near, far in zip(self.cells[2:], other.cells[2:], strict=True))
        )


def locate(
    frames: Iterable[NDArray[np.uint8]],
    rings: Sequence[KeyRing],
    *,
    fps: float = 0.0,
    examinations: int = MAX_EXAMINED,
) -> tuple[Located, ...]:
    """The parts of a picture or clip that carry marks of `rings`, strongest first; at most four ids.

    `examinations`, at most `MAX_EXAMINED`, bounds the work: each may cost a whole search.

    `frames` are uint8 [H, W, 3] sRGB of one size, read once; `fps` is 0 for a still. An id that returns, or
    lies in two places, has an entry for each. Raises `DetectionError` for no ring, no frame, or frames of
    more than one size.
    """
    return locate_in(read_timeline(frames, fps), Detector(rings), examinations=examinations)


def locate_in(
    timeline: Timeline,
    detector: Detector,
    *,
    whole: Detection | None = None,
    examinations: int = MAX_EXAMINED,
) -> tuple[Located, ...]:
    """As `locate`, from what was read of a medium; `timeline` is used up. `whole` is what `detector` found in
    the whole of it, if that is known: it is not looked for again.
    """
    known = whole if whole is not None and whole.found else None
    search = _Search(detector, timeline, min(examinations, MAX_EXAMINED), known)
    search.run()
    return tuple(sorted((search.located(part) for part in search.parts), key=lambda part: part.log10_p))


@dataclass
class _Search:
    detector: Detector
    timeline: Timeline
    most: int = MAX_EXAMINED
    known: Detection | None = None
    parts: list[_Part] = field(default_factory=list)
    taken: list[MarkKey] = field(default_factory=list)
    examined: int = 0

    def run(self) -> None:
        whole = (0, len(self.timeline))
        queue: list[tuple[Range, Cells]] = [(whole, _WHOLE)]
        while queue and self.examined < self.most:
            span, window = queue.pop(0)
            part = self._examine(span, window)
            if part is not None:
                self._claim(part)
                queue.insert(0, (span, window))
            elif window == _WHOLE:
                queue += [(half, _WHOLE) for half in _halves(span)]
            if not queue and window == _WHOLE:
                queue += [(whole, smaller) for smaller in _WINDOWS]
            if len({part.found.media_id for part in self.parts}) == MAX_IDS:
                return

    def _examine(self, span: Range, window: Cells) -> _Part | None:
        if not self.timeline.has_left(span, window):
            return None
        self.examined += 1
        found = self._known() or self._detect(span, window)
        if not found.found:
            return None
        parts = [self._fit(key, ring, found, span) for ring, key in self._keys(found)]
        best = min(parts, key=lambda part: part.log10_p)
        return best if best.log10_p <= LOG10_P_DETECTED else None

    def _known(self) -> Detection | None:
        """What is known of the whole, which is examined first, and first as it stands."""
        known, self.known = self.known, None
        return known

    def _detect(self, span: Range, window: Cells) -> Detection:
        maps, offset = self.timeline.window(span, window)
        found = self.detector.detect_in(maps)
        if found.geometry is None:
            return found
        return replace(found, geometry=Geometry.of(offset @ found.geometry.canonical_to_pixels))

    def _keys(self, found: Detection) -> list[tuple[KeyRing, MarkKey]]:
        """The keys that `found.key_id` can mean: rings of different deployments may share an epoch."""
        epoch, subkey = (int(number) for number in str(found.key_id).split("."))
        rings = [ring for ring in self.detector.rings if ring.epoch == epoch and subkey < ring.subkeys]
        return [(ring, ring.subkey(subkey)) for ring in rings]

    def _fit(self, key: MarkKey, ring: KeyRing, found: Detection, span: Range) -> _Part:
        """Where the evidence for a detection comes from, and how strong it is there alone."""
        reading = _Reading.of(key, ring, found)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            whole = Evidence.stack(list(pool.map(reading.evidence, self.timeline.blocks())))
        cells = _WHOLE
        for _ in range(_ROUNDS):
            cells = best_rectangle(whole.over_time(span))
            span = best_range(whole.over_cells(cells))
        there = reading.evidence(self.timeline.sum(span)).within(cells)
        hole = find_hole(whole.over_time(span), cells)
        drawn = found.media_id is not None and found.media_id.drawn
        log10_p = message_log10_p(there, self._multiplicity(key), drawn=drawn)
        return _Part(key, found, span, cells, hole, log10_p)

    def _multiplicity(self, key: MarkKey) -> float:
        """log10 of the hypotheses of one answer: every geometry that may be read, in every span and box. The
        whole counts twice: what is known of a clip may have been read off its opening frames.

        What was taken out before depends on the signs of other sub-keys, of which these are independent; but
        where this sub-key was found before, on its own: then every choice counts once more, the hole's too.
        """
        reads = (MAX_EXAMINED + 1) * _GEOMETRIES * sum(ring.subkeys for ring in self.detector.rings)
        spans, boxes = math.log10(self.timeline.spans()), 2 * math.log10(CELLS * (CELLS + 1) / 2)
        before = self.taken.count(key)
        return log10_multiplicity(reads, share=1.0) + spans + boxes + before * (spans + 2 * boxes)

    def _claim(self, part: _Part) -> None:
        self.timeline.take_out(part.span, part.cells, part.hole)
        self.taken.append(part.key)
        if not any(earlier.holds(part) for earlier in self.parts):
            self.parts.append(part)

    def located(self, part: _Part) -> Located:
        found = part.found
        if found.media_id is None or found.key_id is None or found.geometry is None:
            raise DetectionError("a detection without an id cannot be located")
        top, left, bottom, right = part.cells
        height, width = self.timeline.height, self.timeline.width
        box = Box(
            round(left * width / CELLS),
            round(top * height / CELLS),
            round(right * width / CELLS),
            round(bottom * height / CELLS),
        )
        seconds = Span(*self.timeline.seconds(part.span))
        return Located(found.media_id, found.key_id, seconds, box, part.log10_p, found.geometry)


def _halves(span: Range) -> list[Range]:
    middle = (span[0] + span[1]) // 2
    return [(span[0], middle), (middle, span[1])] if span[1] - span[0] >= 2 * SHORTEST else []


@dataclass(frozen=True)
class _Reading:
    """The chips of one key and id at one geometry."""

    signs: tuple[NDArray[np.float32], ...]  # by channel, flat over the torus: what each chip should show
    geometry: Geometry
    pilot_seed: bytes

    @staticmethod
    def of(key: MarkKey, ring: KeyRing, found: Detection) -> _Reading:
        if found.media_id is None or found.geometry is None:
            raise DetectionError("a detection without an id cannot be located")
        coded = 1 - 2 * encode(encode_payload(found.media_id, key.payload_seed)).astype(np.float32)
        laid = [lay_chips(key.payload_seed, channel) for channel in CHANNELS]
        signs = tuple((chips.signs * coded[chips.bits]).ravel().astype(np.float32) for chips in laid)
        return _Reading(signs, found.geometry, ring.pilot_seed)

    def evidence(self, maps: Maps) -> Evidence:
        """What each cell says for the mark."""
        matrix = self.geometry.canonical_to_pixels
        strengths = Refiner.of(maps, self.pilot_seed).measure([matrix])[0].strengths
        values = ChipReader.of(maps).read(matrix, strengths)
        return Evidence.of(values, self.signs, matrix, maps.height, maps.width)
