"""Perceptual fingerprints: what the released picture looked like, in a few kilobytes.

Two uses. Small grey pictures in the mark's canonical frame let `compare` refute a mark that was carried over
to another picture. PDQ hashes (Meta, "PDQ & TMK+PDQF", 2019) let a registry find copies whose mark is gone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import pdqhash
from numpy.typing import NDArray

from provenance.errors import FingerprintError
from watermark.media import Media

Grey = NDArray[np.uint8]
Frame = NDArray[np.uint8]

LINES: Final = 64
"""Short side of a stored picture: carries the 3 to 13 cycles that are compared."""
VIEW_LINES: Final = 96
"""Short side of a picture kept of an upload: ours may fill a third of it."""
MAX_ASPECT: Final = 8.0
"""Long by short side; a longer strip is kept squeezed."""
INTERVAL_MS: Final = 500
"""Between samples of a clip. Doubled, and every other sample dropped, whenever the bound below is reached."""
MAX_SAMPLES: Final = 128
"""Samples of a record: 64 s at the finest interval; 0.9 MB of a 16:9 clip before compression."""
MAX_VIEWS: Final = 24
"""Samples of an upload: 0.4 MB of a 16:9 clip. Enough for a share of those that match."""
PDQ_BYTES: Final = 32
MAX_PDQ_DISTANCE: Final = 31
"""Bits up to which two hashes count as the same picture, as the PDQ authors advise."""
PDQ_LINES: Final = 128
"""Pictures are shrunk to this before hashing: the hash is made from 64 x 64, the result is the same and 20
times faster."""

_MAGIC: Final = b"AFP1"
_HEAD: Final = struct.Struct(">4sIIHHH")
_SAMPLE_HEAD: Final = struct.Struct(">IB32s")
_MAX_SIDE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture: milliseconds from the start, grey values [rows * columns] uint8, PDQ hash and its quality
    0-100."""

    at_ms: int
    luma: bytes
    pdq: bytes
    pdq_quality: int


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Samples of a medium of `width` x `height` pixels, each `rows` x `columns` and covering the whole
    picture."""

    width: int
    height: int
    rows: int
    columns: int
    samples: tuple[Sample, ...]

    def scenes(self) -> tuple[Sample, ...]:
        """The samples to search by: one for as long as the picture stays alike, none that are too flat."""
        kept: list[Sample] = []
        for sample in self.samples:
            is_new = not kept or pdq_distance(kept[-1].pdq, sample.pdq) > MAX_PDQ_DISTANCE
            if sample.pdq_quality >= MIN_PDQ_QUALITY and is_new:
                kept.append(sample)
        return tuple(kept)

    def picture(self, index: int) -> Grey:
        """Sample `index` as uint8 [rows, columns]."""
        return np.frombuffer(self.samples[index].luma, np.uint8).reshape(self.rows, self.columns)

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The distinct PDQ hashes of good quality, in order: what a search index stores."""
        return tuple(dict.fromkeys(s.pdq for s in self.samples if s.pdq_quality >= MIN_PDQ_QUALITY))

    def to_bytes(self) -> bytes:
        """Versioned and compressed; `Fingerprint.from_bytes(f.to_bytes()) == f`."""
        head = _HEAD.pack(_MAGIC, self.width, self.height, self.rows, self.columns, len(self.samples))
        body = b"".join(_SAMPLE_HEAD.pack(s.at_ms, s.pdq_quality, s.pdq) + s.luma for s in self.samples)
        return head + zlib.compress(body, 6)

    @staticmethod
    def from_bytes(data: bytes) -> Fingerprint:
        """Read what `to_bytes` wrote. Raises `FingerprintError` for anything else, however large it claims to
        be."""
        if len(data) < _HEAD.size:
            raise FingerprintError(f"a fingerprint has at least {_HEAD.size} bytes, got {len(data)}")
        magic, width, height, rows, columns, count = _HEAD.unpack_from(data)
        if magic != _MAGIC:
            raise FingerprintError(f"fingerprint of an unknown version: {magic!r}")
        if not (
            0 < width < _MAX_SIDE
            and 0 < height < _MAX_SIDE
            and (rows, columns) == _grid(width, height, LINES)
        ):
            raise FingerprintError(
                f"fingerprint of a {width} x {height} picture cannot be {rows} x {columns}"
            )
        size = count * (_SAMPLE_HEAD.size + rows * columns)
        body = _inflate(data[_HEAD.size :], size) if count <= MAX_SAMPLES else b""
        if len(body) != size:
            raise FingerprintError(f"fingerprint of {count} samples is {len(body)} bytes long, not {size}")
        return Fingerprint(width, height, rows, columns, tuple(_unpack(body, rows * columns, count)))


MIN_PDQ_QUALITY: Final = 50
"""Below this the PDQ authors advise not to match: the picture is too flat."""


@dataclass(frozen=True, slots=True)
class Views:
    """Small grey pictures of an upload of `width` x `height` pixels, [rows * columns] uint8, and when they
    are shown."""

    width: int
    height: int
    rows: int
    columns: int
    at_ms: tuple[int, ...]
    lumas: tuple[bytes, ...]

    def picture(self, index: int) -> Grey:
        """View `index` as uint8 [rows, columns]."""
        return np.frombuffer(self.lumas[index], np.uint8).reshape(self.rows, self.columns)

    def between(self, start_ms: float, end_ms: float) -> Views:
        """The views that are shown from `start_ms` to `end_ms`."""
        kept = [index for index, at in enumerate(self.at_ms) if start_ms <= at < end_ms]
        lumas = tuple(self.lumas[index] for index in kept)
        return replace(self, at_ms=tuple(self.at_ms[index] for index in kept), lumas=lumas)

    def search_hashes(self) -> tuple[bytes, ...]:
        """PDQ hashes of every view in its eight rotations and reflections: what to look for in an index."""
        found: dict[bytes, None] = {}
        for index in range(len(self.lumas)):
            variants, quality = pdqhash.compute_dihedral(_grey_to_rgb(self.picture(index)))
            if quality >= MIN_PDQ_QUALITY:
                found.update(dict.fromkeys(_pack_bits(bits) for bits in variants))
        return tuple(found)


class Sampler:
    """Keeps a bounded, evenly spaced choice of the frames that pass through `watch`."""

    def __init__(self, *, fps: float, lines: int, limit: int) -> None:
        """`fps` of the frames, 0 for a still; pictures with `lines` on the short side; at most `limit` of
        them."""
        self._step_ms = 1000.0 / fps if fps > 0 else 0.0
        self._lines, self._limit = lines, limit
        self._interval_ms: float = INTERVAL_MS
        self._seen = 0
        self.kept: list[tuple[int, Frame]] = []
        self.width = self.height = 0

    def watch(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Pass every frame on, looking at it first."""
        for frame in frames:
            self.look(frame)
            yield frame

    def look(self, frame: Frame) -> None:
        at_ms = self._seen * self._step_ms
        self._seen += 1
        if self.kept and at_ms < self.kept[-1][0] + self._interval_ms - 0.5 * self._step_ms:
            return
        self.height, self.width = frame.shape[:2]
        self.kept.append((round(at_ms), shrink(frame, self._lines)))
        if len(self.kept) > self._limit:
            self.kept = self.kept[::2]
            self._interval_ms *= 2

    def views(self) -> Views:
        """What was kept, as grey pictures. Raises `FingerprintError` when no frame passed."""
        if not self.kept:
            raise FingerprintError("no frame to look at")
        rows, columns = _grid(self.width, self.height, self._lines)
        times, pictures = zip(*self.kept, strict=True)
        return Views(
            self.width, self.height, rows, columns, times, tuple(luma(p).tobytes() for p in pictures)
        )


def fingerprint_media(media: Media) -> Fingerprint:
    """The fingerprint of a picture or clip that is about to be released. Raises `FingerprintError` without a
    frame."""
    return fingerprint_frames(media.frames(exact=False), fps=media.fps)


def fingerprint_frames(frames: Iterable[Frame], *, fps: float) -> Fingerprint:
    """As `fingerprint_media`, from frames uint8 [H, W, 3] sRGB at `fps` (0 for a still)."""
    sampler = Sampler(fps=fps, lines=PDQ_LINES, limit=MAX_SAMPLES)
    for frame in frames:
        sampler.look(frame)
    if not sampler.kept:
        raise FingerprintError("no frame to look at")
    rows, columns = _grid(sampler.width, sampler.height, LINES)
    samples = tuple(_sample(at_ms, picture, rows, columns) for at_ms, picture in sampler.kept)
    return Fingerprint(sampler.width, sampler.height, rows, columns, samples)


def shrink(frame: Frame, lines: int) -> Frame:
    """The frame with `lines` on its short side, by area averaging; smaller frames are enlarged."""
    rows, columns = _grid(frame.shape[1], frame.shape[0], lines)
    grows = rows > frame.shape[0]
    small: Frame = cv2.resize(
        frame, (columns, rows), interpolation=cv2.INTER_LINEAR if grows else cv2.INTER_AREA
    )
    return small


def pdq_distance(one: bytes, other: bytes) -> int:
    """Bits in which two PDQ hashes differ, 0 to 256."""
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def luma(frame: Frame) -> Grey:
    """ITU-R BT.601 luma of an sRGB frame."""
    grey: Grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return grey


def _sample(at_ms: int, picture: Frame, rows: int, columns: int) -> Sample:
    bits, quality = pdqhash.compute(np.ascontiguousarray(picture))
    small = cv2.resize(luma(picture), (columns, rows), interpolation=cv2.INTER_AREA)
    return Sample(at_ms, small.tobytes(), _pack_bits(bits), int(quality))


def _grid(width: int, height: int, lines: int) -> tuple[int, int]:
    """Rows and columns of a small picture with `lines` on the short side."""
    long = round(lines * min(MAX_ASPECT, max(width, height) / min(width, height)))
    return (lines, long) if width >= height else (long, lines)


def _pack_bits(bits: NDArray[np.uint8]) -> bytes:
    return np.packbits(bits.astype(np.uint8)).tobytes()


def _grey_to_rgb(picture: Grey) -> Frame:
    return np.ascontiguousarray(np.repeat(picture[..., None], 3, axis=2))


def _inflate(data: bytes, size: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        body = inflater.decompress(data, size + 1)
    except zlib.error as error:
        raise FingerprintError(f"fingerprint is damaged: {error}") from error
    if inflater.unused_data or inflater.unconsumed_tail:
        raise FingerprintError("fingerprint has more bytes than it declares")
    return body


def _unpack(body: bytes, pixels: int, count: int) -> Iterator[Sample]:
    for index in range(count):
        start = index * (_SAMPLE_HEAD.size + pixels)
        at_ms, quality, pdq = _SAMPLE_HEAD.unpack_from(body, start)
        first = start + _SAMPLE_HEAD.size
        yield Sample(at_ms, body[first : first + pixels], pdq, quality)
