"""Finding the mark: picture and keys in, evidence with a bound on its false-positive probability out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from watermark.decoys import decoy_log10_p
from watermark.errors import DetectionError
from watermark.frontend import Maps, accumulate
from watermark.geometry import Geometry, aligned
from watermark.keys import KeyRing, MarkKey
from watermark.layout import CHANNELS, Chips, lay_chips
from watermark.messages import Message, read_message
from watermark.payload import MediaId
from watermark.refine import Fit, Refiner
from watermark.search import search
from watermark.soft_bits import ChipReader, ChipValues, soft_bits
from watermark.statistics import LOG10_P_DETECTED, LOG10_P_INCONCLUSIVE, log10_multiplicity

SEARCHED_GEOMETRIES = 4  # read after a search, per ring; each is a hypothesis per sub-key


class Band(StrEnum):
    """How sure a detection is: `DETECTED` at p <= 1e-6 with the check right, and decoy keys that agree,
    `INCONCLUSIVE` at p <= 1e-3.
    """

    DETECTED = "detected"
    INCONCLUSIVE = "inconclusive"
    NONE = "none"


@dataclass(frozen=True)
class Detection:
    """What the detector found.

    `log10_p` bounds, for any unmarked picture and over the random choice of the key, the chance of evidence
    this strong, with every hypothesis that was tried counted; 0.0 means no evidence. `media_id`, `key_id`
    and `geometry` are given for `DETECTED` only, so that nothing weaker can be taken for an id.
    `decoy_log10_p` is the same chance as estimated from keys that cannot be in the file, where a message was
    read; a find at which they do not come below `LOG10_P_INCONCLUSIVE` is not called `DETECTED`.
    """

    found: bool
    band: Band
    media_id: MediaId | None
    key_id: str | None
    log10_p: float
    frames_read: int
    geometry: Geometry | None
    decoy_log10_p: float = 0.0


@dataclass(frozen=True)
class _Candidate:
    """A message that was read under `key`, at one of `log10_multiplicity` tests, off `values`."""

    message: Message
    key: MarkKey
    geometry: Geometry
    log10_multiplicity: float
    values: tuple[ChipValues, ...]


class Detector:
    """Looks for the marks of several rings, such as the epochs of a deployment. Holds keys: keep it on the
    server.
    """

    def __init__(self, rings: Sequence[KeyRing]) -> None:
        """Raises `DetectionError` when there is no ring: a detector that can find nothing is a mistake."""
        if not rings:
            raise DetectionError("a detector needs at least one key ring")
        self._rings = tuple(rings)
        self._keys = {ring: tuple(ring.subkey(i) for i in range(ring.subkeys)) for ring in rings}
        self._chips: dict[MarkKey, tuple[Chips, ...]] = {}

    @property
    def rings(self) -> tuple[KeyRing, ...]:
        """The rings that it looks for."""
        return self._rings

    def detect(self, frames: Iterable[NDArray[np.uint8]]) -> Detection:
        """Examine the frames, uint8 [H, W, 3] sRGB, of one picture or clip, read once and in order.

        Raises `DetectionError` for no frames, or frames that are not pictures of one size.
        """
        return self.detect_in(accumulate(frames))

    def detect_in(self, maps: Maps) -> Detection:
        """As `detect`, from the maps of a medium or of a part of one.

        A clip has four stages, in this order: the picture as it stands, over all frames and over the opening
        ones, then a search over each. A picture has two. Each may spend its share of the false-positive
        probability, whatever the others found; the first that detects ends the examination.
        """
        views = [maps] if maps.opening is None else [maps, maps.opening]
        stages = [(view, propose) for propose in (self._aligned, self._searched) for view in views]
        best: _Candidate | None = None
        for view, propose in stages:
            found = self._examine(view, propose, share=1 / len(stages))
            best = min(filter(None, (best, found)), key=_log10_p, default=None)
            if best is not None and best.message.log10_p <= LOG10_P_DETECTED:
                break
        return self._verdict(best, maps.frames)

    def _verdict(self, best: _Candidate | None, frames: int) -> Detection:
        if best is None:
            return Detection(False, Band.NONE, None, None, 0.0, frames, None)
        log10_p, media_id = best.message.log10_p, best.message.media_id
        decoys = decoy_log10_p(
            best.values,
            self._laid(best.key),
            best.key.payload_seed,
            t=best.message.t,
            log10_multiplicity=best.log10_multiplicity,
            drawn=media_id.drawn,
        )
        if log10_p > LOG10_P_DETECTED or decoys > LOG10_P_INCONCLUSIVE:
            return Detection(False, Band.INCONCLUSIVE, None, None, log10_p, frames, None, decoys)
        key_id = best.key.key_id
        return Detection(True, Band.DETECTED, media_id, key_id, log10_p, frames, best.geometry, decoys)

    def _examine(
        self, maps: Maps, propose: Callable[[Maps, KeyRing], list[Fit]], *, share: float
    ) -> _Candidate | None:
        """Read every sub-key at the geometries that `propose` gives for each ring."""
        by_pilot = {
            ring.pilot_seed: ring for ring in self._rings
        }  # tenants share one: it is searched for once
        fits = {seed: propose(maps, ring) for seed, ring in by_pilot.items()}
        proposals = [(ring, fit) for ring in self._rings for fit in fits[ring.pilot_seed]]
        tests = sum(ring.subkeys for ring, _ in proposals)
        multiplicity = log10_multiplicity(tests, share=share)
        reader = ChipReader.of(maps)
        candidates = [self._read(reader, ring, fit, multiplicity) for ring, fit in proposals]
        return min(filter(None, candidates), key=_log10_p, default=None)

    @staticmethod
    def _aligned(maps: Maps, ring: KeyRing) -> list[Fit]:
        starts = [aligned(maps.height, maps.width, mirrored=mirrored) for mirrored in (False, True)]
        return Refiner.of(maps, ring.pilot_seed).measure(starts)

    @staticmethod
    def _searched(maps: Maps, ring: KeyRing) -> list[Fit]:
        return search(maps, ring.pilot_seed, SEARCHED_GEOMETRIES)

    def _read(self, reader: ChipReader, ring: KeyRing, fit: Fit, multiplicity: float) -> _Candidate | None:
        values = reader.read(fit.canonical_to_pixels, fit.strengths)
        keys = self._keys[ring]
        soft = np.stack([soft_bits(values, self._laid(key)) for key in keys])
        message = read_message(soft, [key.payload_seed for key in keys], multiplicity)
        if message is None:
            return None
        geometry = Geometry.of(fit.canonical_to_pixels)
        return _Candidate(message, keys[message.word], geometry, multiplicity, values)

    def _laid(self, key: MarkKey) -> tuple[Chips, ...]:
        if key not in self._chips:
            self._chips[key] = tuple(lay_chips(key.payload_seed, channel) for channel in CHANNELS)
        return self._chips[key]


def _log10_p(candidate: _Candidate) -> float:
    return candidate.message.log10_p
