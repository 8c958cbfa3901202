"""Known pictures by PDQ hash (Meta, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing ...").

A hash has 256 bits; equal pictures after scaling or compression differ in few of them. Mirrored and turned
copies are found by the eight hashes of the square's symmetries, framed copies by hashing the middle of what
is asked about, and cropped copies by listing the hashes of crops too (`hashes_to_list`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import cv2
import numpy as np
import pdqhash
from numpy.typing import NDArray

MATCH_DISTANCE = 31  # bits; PDQ's own recommendation for a match
MIN_QUALITY = 50  # of 100; PDQ's own recommendation: hashes of flatter pictures say nothing
_SIDE = 512  # pixels; PDQ works on 64 x 64 cells, larger pictures only cost time
_FRAME_CROPS = (1.0, 0.9, 0.8)  # shares of a side that are looked up
_LISTED_CROPS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7)  # shares of a side that are listed
_WORDS = 4  # 64-bit words of a hash
_CHUNK = 1 << 18  # hashes compared at once, 8 MB

Hashes = NDArray[np.uint64]


class KnownPictures(Protocol):
    """Something that recognises pictures."""

    def matches(self, pixels: NDArray[np.uint8]) -> bool:
        """Returns whether a known picture is in `pixels`, uint8 [H, W, 3]."""
        ...


class HashIndex:
    """An immutable set of PDQ hashes."""

    def __init__(self, hashes: Iterable[str]) -> None:
        """Takes hashes as 64 hexadecimal digits."""
        data = b"".join(bytes.fromhex(digits) for digits in hashes)
        self._rows = np.frombuffer(data, np.uint64).reshape(-1, _WORDS)

    def __len__(self) -> int:
        return len(self._rows)

    def matches(self, pixels: NDArray[np.uint8]) -> bool:
        """Returns whether a copy of a listed picture is in `pixels`, uint8 [H, W, 3]."""
        return any(self._near(wanted) for wanted in _asked(pixels)) if len(self) else False

    def _near(self, wanted: Hashes) -> bool:
        for at in range(0, len(self._rows), _CHUNK):
            bits = np.bitwise_count(self._rows[at : at + _CHUNK] ^ wanted).sum(1)
            if int(bits.min()) <= MATCH_DISTANCE:
                return True
        return False


def hashes_to_list(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """Returns the hashes by which a picture and crops of its middle are listed; () where it is too flat."""
    found = (pdqhash.compute(_crop(pixels, share)) for share in _LISTED_CROPS)
    return tuple(_packed(bits).tobytes().hex() for bits, quality in found if quality >= MIN_QUALITY)


def hash_of(pixels: NDArray[np.uint8]) -> str | None:
    """Returns the PDQ hash of a picture as 64 hexadecimal digits; None where it is too flat for one."""
    bits, quality = pdqhash.compute(_crop(pixels, 1.0))
    return _packed(bits).tobytes().hex() if quality >= MIN_QUALITY else None


def is_copy(pixels: NDArray[np.uint8], digits: str) -> bool:
    """Returns whether a picture, uint8 [H, W, 3], is the one with this PDQ hash: upright and uncropped."""
    found = hash_of(pixels)
    if found is None:
        return False
    return (int(found, 16) ^ int(digits, 16)).bit_count() <= MATCH_DISTANCE


def _asked(pixels: NDArray[np.uint8]) -> Iterator[Hashes]:
    for share in _FRAME_CROPS:
        symmetries, quality = pdqhash.compute_dihedral(_crop(pixels, share))
        if quality >= MIN_QUALITY:
            yield from (_packed(bits) for bits in symmetries)


def _packed(bits: NDArray[np.uint8]) -> Hashes:
    return np.frombuffer(np.packbits(np.asarray(bits, np.uint8)).tobytes(), np.uint64)


def _crop(pixels: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    top, left = round(height * (1 - share) / 2), round(width * (1 - share) / 2)
    middle = pixels[top : height - top, left : width - left]
    scale = _SIDE / max(middle.shape[:2])
    if scale < 1:
        size = (max(1, round(middle.shape[1] * scale)), max(1, round(middle.shape[0] * scale)))
        middle = cv2.resize(middle, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(middle, np.uint8)
