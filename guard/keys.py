"""Strings by hash: a list of hundreds of thousands of names in a few megabytes, looked up by numpy.

What stands between the start of one token and the end of another is hashed as a polynomial in the letters,
modulo 2**64 (Karp and Rabin 1987): with the sum `S[i] = c[0] B^0 + ... + c[i-1] B^(i-1)`, the letters from a
to b have the hash `(S[b] - S[a]) B^-a`, so that every such piece of a text costs a few operations whatever
its length. Equal hashes are candidates; the caller compares the letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice

import numpy as np
from numpy.typing import NDArray

MAX_KEY_LETTERS = 48  # letters of a key; bounds the pieces that are looked up per token
_PREFIX_LETTERS = 5  # most tokens begin like no name, and are not looked at further
BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(BASE, -1, 1 << 64)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_FILTER_BITS = 21  # of prefixes
_MEMBER_BITS = 23  # of whole keys; with a million keys, one piece of eight is looked up for nothing
_CHUNK = 1 << 13  # keys hashed at once while building, a few megabytes

Hashes = NDArray[np.uint64]


class KeyIndex:
    """An immutable multimap from strings to codes (non-negative integers below 2**31)."""

    def __init__(self, keys: Iterable[tuple[str, int]]) -> None:
        """Indexes `keys`, each a string of 1 to `MAX_KEY_LETTERS` letters and its code."""
        hashes, prefixes, lengths = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)], {0}
        numbers = [np.empty(0, np.int32)]
        remaining = iter(keys)
        while chunk := list(islice(remaining, _CHUNK)):
            words, codes = zip(*chunk, strict=True)
            sizes = np.fromiter(map(len, words), np.int64, len(words))
            begins = np.cumsum(sizes) - sizes
            text = PieceHashes("".join(words))
            hashes.append(text.hashes(begins, begins + sizes))
            prefixes.append(text.hashes(begins, begins + np.minimum(sizes, _PREFIX_LETTERS)))
            numbers.append(np.array(codes, np.int32))
            lengths.update(sizes.tolist())
        unsorted = np.concatenate(hashes)
        order = np.argsort(unsorted)
        self._hashes, self._codes = unsorted[order], np.concatenate(numbers)[order]
        self._max_letters = max(lengths)
        self._prefixes = np.zeros(1 << _FILTER_BITS, np.bool_)
        self._prefixes[slots(np.concatenate(prefixes), _FILTER_BITS)] = True
        self._members = np.zeros(1 << _MEMBER_BITS, np.bool_)  # what is not in it needs no binary search
        self._members[slots(self._hashes, _MEMBER_BITS)] = True

    def __len__(self) -> int:
        return len(self._codes)

    def find(
        self,
        letters: str,
        starts: bytearray,
        ends: bytearray,
        left_out: NDArray[np.int64] | None = None,
    ) -> Iterator[tuple[int, int, int]]:
        """Yields (first letter, last letter, code) of keys that may be in `letters`.

        A piece begins where `starts` is 1 and ends where `ends` is 1; both have one byte per letter. With
        `left_out`, how many letters were left out before each letter and before the end, only pieces are
        looked up in which letters are left out.
        """
        if not len(self._codes) or not letters:
            return
        text = PieceHashes(letters)
        begins = np.frombuffer(starts, np.uint8).nonzero()[0]
        lasts = np.frombuffer(ends, np.uint8).nonzero()[0]
        reach = np.where(self._promising(text, begins, len(letters)), self._max_letters, _PREFIX_LETTERS - 1)
        low = lasts.searchsorted(begins)
        counts = lasts.searchsorted(begins + reach) - low
        first = begins.repeat(counts)
        shift = low - (counts.cumsum() - counts)
        last = lasts[np.arange(len(first)) + shift.repeat(counts)]
        if left_out is not None:
            changed = left_out[last + 1] > left_out[first]
            first, last = first[changed], last[changed]
        hashes = text.hashes(first, last + 1)
        likely = self._members[slots(hashes, _MEMBER_BITS)].nonzero()[0]
        if not len(likely):
            return
        hashes = hashes[likely]
        low, high = self._hashes.searchsorted(hashes), self._hashes.searchsorted(hashes, "right")
        for hit in (low < high).nonzero()[0].tolist():
            piece = likely[hit]
            for code in self._codes[low[hit] : high[hit]].tolist():
                yield int(first[piece]), int(last[piece]), code

    def _promising(self, text: PieceHashes, begins: NDArray[np.int64], letters: int) -> NDArray[np.bool_]:
        ends = np.minimum(begins + _PREFIX_LETTERS, letters)
        return np.asarray(self._prefixes[slots(text.hashes(begins, ends), _FILTER_BITS)])


def slots(hashes: Hashes, bits: int) -> NDArray[np.int64]:
    """Returns places in a table of 2**`bits` rows, the same for equal hashes."""
    return np.asarray((hashes * _MIX) >> np.uint64(64 - bits), np.int64)


def points(letters: str) -> NDArray[np.uint32]:
    """Returns the code points of a text."""
    return np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), np.uint32)


class PieceHashes:
    """The sums of a text, from which the hash of any piece of it follows."""

    def __init__(self, letters: str) -> None:
        codes = points(letters).astype(np.uint64)
        size = 1 << max(10, len(codes).bit_length())
        self._shifts = powers(_INVERSE, size)
        self._sums = np.zeros(len(codes) + 1, np.uint64)
        np.cumsum(codes * powers(BASE, size)[: len(codes)], out=self._sums[1:])

    def hashes(self, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Hashes:
        """Returns the hashes of the pieces from `begins` to `ends` (exclusive)."""
        return np.asarray((self._sums[ends] - self._sums[begins]) * self._shifts[begins])


@cache
def powers(base: int, size: int) -> Hashes:
    """Returns the powers 0 to `size` - 1 of `base` modulo 2**64."""
    factors = np.full(size, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors, dtype=np.uint64)
