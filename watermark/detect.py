"""Finding the mark: picture and keys in, evidence with a bound on its false-positive probability out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from watermark.errors import DetectionError
from watermark.frontend import Maps, accumulate
from watermark.geometry import Geometry, aligned
from watermark.keys import KeyRing, MarkKey
from watermark.layout import CHANNELS, Chips, lay_chips
from watermark.payload import MediaId
from watermark.pilot import PilotProbe
from watermark.soft_bits import read_chips, read_message
from watermark.statistics import LOG10_P_DETECTED, LOG10_P_INCONCLUSIVE, Budget, message_log10_p


class Band(StrEnum):
    """How sure a detection is: `DETECTED` at p <= 1e-6 with the check right, `INCONCLUSIVE` at p <= 1e-3."""

    DETECTED = "detected"
    INCONCLUSIVE = "inconclusive"
    NONE = "none"


@dataclass(frozen=True)
class Detection:
    """What the detector found.

    `log10_p` bounds, for any unmarked picture and over the random choice of the key, the chance of evidence
    this strong, with every hypothesis that was tried counted; 0.0 means no evidence. `media_id`, `key_id`
    and `geometry` are given for `DETECTED` only, so that nothing weaker can be taken for an id.
    """

    found: bool
    band: Band
    media_id: MediaId | None
    key_id: str | None
    log10_p: float
    frames_read: int
    geometry: Geometry | None


@dataclass(frozen=True)
class _Candidate:
    log10_p: float
    media_id: MediaId
    key: MarkKey
    geometry: Geometry


class Detector:
    """Looks for the marks of several rings, such as the epochs of a deployment. Holds keys; keep it on the
    server.
    """

    def __init__(self, rings: Sequence[KeyRing]) -> None:
        """Raises `DetectionError` when there is no ring: a detector that can find nothing is a mistake."""
        if not rings:
            raise DetectionError("a detector needs at least one key ring")
        self._rings = tuple(rings)
        self._keys = {ring: tuple(ring.subkey(i) for i in range(ring.subkeys)) for ring in rings}
        self._chips: dict[MarkKey, tuple[Chips, ...]] = {}

    def detect(self, frames: Iterable[NDArray[np.uint8]]) -> Detection:
        """Examine the frames, uint8 [H, W, 3] sRGB, of one picture or clip.

        Raises `DetectionError` for no frames, or frames that are not pictures of one size.
        """
        maps = accumulate(frames)
        best = self._fast_path(maps)
        return _verdict(best, maps.frames)

    def _fast_path(self, maps: Maps) -> _Candidate | None:
        geometries = [aligned(maps.height, maps.width, mirrored=mirrored) for mirrored in (False, True)]
        tests = len(geometries) * sum(ring.subkeys for ring in self._rings)
        multiplicity = Budget(tests, share=0.5).log10_multiplicity
        candidates = [
            candidate
            for ring in self._rings
            for probe in [PilotProbe.of(maps, ring.pilot_seed)]
            for geometry in geometries
            for candidate in self._read(maps, ring, geometry, probe, multiplicity)
        ]
        return min(candidates, key=lambda c: c.log10_p, default=None)

    def _read(
        self, maps: Maps, ring: KeyRing, geometry: Geometry, probe: PilotProbe, multiplicity: float
    ) -> list[_Candidate]:
        strengths = probe.strengths(geometry.canonical_to_pixels)
        values = read_chips(maps, geometry.canonical_to_pixels, strengths)
        found = []
        for key in self._keys[ring]:
            message = read_message(values, self._laid(key), key.payload_seed)
            if message is not None:
                log10_p = message_log10_p(message.t, multiplicity)
                found.append(_Candidate(log10_p, message.media_id, key, geometry))
        return found

    def _laid(self, key: MarkKey) -> tuple[Chips, ...]:
        if key not in self._chips:
            self._chips[key] = tuple(lay_chips(key.payload_seed, channel) for channel in CHANNELS)
        return self._chips[key]


def _verdict(best: _Candidate | None, frames: int) -> Detection:
    if best is None or best.log10_p > LOG10_P_INCONCLUSIVE:
        return Detection(False, Band.NONE, None, None, best.log10_p if best else 0.0, frames, None)
    if best.log10_p > LOG10_P_DETECTED:
        return Detection(False, Band.INCONCLUSIVE, None, None, best.log10_p, frames, None)
    return Detection(True, Band.DETECTED, best.media_id, best.key.key_id, best.log10_p, frames, best.geometry)
