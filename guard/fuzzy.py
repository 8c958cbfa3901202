"""Names with typing errors: a delete index over the words of all names, confirmed by edit distance.

Two words within distance d share a string that each becomes by deleting at most d letters (Garbe's symmetric
delete, here on 64-bit hashes in sorted arrays). A pair of neighbouring words of a text is looked up among the
pairs of all names, then the whole name is compared word by word with optimal string alignment. The number of
words must be the same: "to a young" is not Todd Young.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from guard.keys import BASE, points, powers, slots

MIN_LETTERS_ONE_EDIT = 7  # letters of a name; shorter ones turn into other words too easily
MIN_LETTERS_TWO_EDITS = 10
_MIN_WORD_LETTERS = 3  # a word of two letters with an error is no evidence
_MIN_WORD_TWO_DELETES = 7  # letters; below, two errors in one word leave too little
_MAX_WORD_LETTERS = 24  # longer words are not indexed; the longest surname in use has 36
_NEVER = 2 * _MAX_WORD_LETTERS + 1  # more letters than two words with errors have
_MIN_ANCHOR_LETTERS = np.array([0, 5, MIN_LETTERS_TWO_EDITS, _NEVER, _NEVER])  # of two neighbours, by errors
_CACHED_WORDS = 1 << 15  # prompts repeat their words

_MAX_PAIRS = 1 << 18  # candidates of neighbouring words looked up at once, some 20 MB
_FILTER_BITS = 22  # of the pairs of all names
_DELETE_BITS = 24  # of the words with letters deleted; two million fill one place in eight

Candidates = tuple[NDArray[np.int64], NDArray[np.int64]]  # word ids, distances
_NONE: Candidates = (np.empty(0, np.int64), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class FuzzyHit:
    """A name seen with errors: its code, its tokens (half-open range), edits in all."""

    code: int
    first: int
    last: int
    distance: int


class FuzzyIndex:
    """An index over names, each a tuple of words with a code."""

    def __init__(self, names: Sequence[tuple[int, tuple[str, ...]]]) -> None:
        self._ids: dict[str, int] = {}
        self._names = [(code, words) for code, words in names if _letters(words) >= MIN_LETTERS_ONE_EDIT]
        keys = np.empty(len(self._names), np.uint64)
        self._anchor = np.zeros(len(self._names), np.uint8)
        for row, (_, words) in enumerate(self._names):
            if len(words) > 2:
                self._anchor[row] = anchor = _best_anchor(words)
                words = words[anchor : anchor + 2]
            keys[row] = self._key(words)
        order = np.argsort(keys, kind="stable")
        self._keys, self._rows = keys[order], order.astype(np.uint32)
        self._members = np.zeros(1 << _FILTER_BITS, np.bool_)  # what is not in it needs no binary search
        self._members[slots(self._keys, _FILTER_BITS)] = True
        self._words = list(self._ids)
        self._lengths = np.fromiter(map(len, self._words), np.int64, len(self._words))
        self._allowed = np.fromiter(map(_allowed_in_word, self._words), np.uint8, len(self._words))
        self._deletes, self._delete_ids = _delete_index(self._words)
        self._delete_members = np.zeros(1 << _DELETE_BITS, np.bool_)
        self._delete_members[slots(self._deletes, _DELETE_BITS)] = True
        self._candidates = lru_cache(maxsize=_CACHED_WORDS)(self._find_candidates)

    def _key(self, pair: tuple[str, ...]) -> int:
        ids = self._ids
        first = ids.setdefault(pair[0], len(ids)) + 1 << 32
        return first | ids.setdefault(pair[1], len(ids)) + 1 if len(pair) > 1 else first

    def search(self, words: Sequence[str], common: frozenset[str]) -> Iterator[FuzzyHit]:
        """Yields names that `words` contain with at least one error; words in `common` are taken as meant."""
        if not self._names:
            return
        near = [self._near(word, common) for word in words]
        for begin, end in _portions([len(ids) for ids, _ in near]):
            yield from self._search(near[begin:end], begin, words, common)

    def _search(
        self, near: Sequence[Candidates], begin: int, words: Sequence[str], common: frozenset[str]
    ) -> Iterator[FuzzyHit]:
        """Looks up the candidates of single words, and of each with those of the next, in both orders."""
        counts = np.array([len(ids) for ids, _ in near], np.int64)
        if not counts.any():
            return
        ids, edits = np.concatenate([i for i, _ in near]), np.concatenate([d for _, d in near])
        lengths = self._lengths[ids]
        place = np.arange(len(near)).repeat(counts)
        left, right = _neighbours(counts, place)
        both = edits[left] + edits[right]
        good = lengths[left] + lengths[right] >= _MIN_ANCHOR_LETTERS[both]
        left, right = left[good], right[good]
        turned = both[good] > 0  # names in their own spelling are found elsewhere, in any order
        single = edits.nonzero()[0]
        two = (ids + 1).astype(np.uint64)
        one = two << np.uint64(32)
        keys = [one[single], one[left] | two[right], one[right[turned]] | two[left[turned]]]
        wanted = np.concatenate(keys)
        likely = self._members[slots(wanted, _FILTER_BITS)].nonzero()[0]
        if len(likely):
            at = np.concatenate([place[single], place[left], place[left[turned]]])[likely] + begin
            steps = np.where(likely < len(single) + len(left), 1, -1)
            yield from self._confirm(wanted[likely], at, steps, words, common)

    def _near(self, word: str, common: frozenset[str]) -> Candidates:
        return self._itself(word) if word in common else self._candidates(word)

    def _itself(self, word: str) -> Candidates:
        number = self._ids.get(word)
        return _NONE if number is None else (np.array([number]), np.array([0]))

    def _find_candidates(self, word: str) -> Candidates:
        if not _MIN_WORD_LETTERS - 1 <= len(word) <= _MAX_WORD_LETTERS + 2:
            return self._itself(word)
        hashes = _delete_hashes(word)
        hashes = hashes[self._delete_members[slots(hashes, _DELETE_BITS)]]
        low, high = self._deletes.searchsorted(hashes), self._deletes.searchsorted(hashes, "right")
        found = {
            number
            for hit in (low < high).nonzero()[0].tolist()
            for number in self._delete_ids[low[hit] : high[hit]].tolist()
        }
        if word in self._ids:
            found.add(self._ids[word])
        if not found:
            return _NONE
        ids = np.array(sorted(found))
        near = [self._words[number] for number in ids.tolist()]
        edits = cdist([word], near, scorer=OSA.distance, score_cutoff=2, dtype=np.uint8)[0]
        close = edits <= self._allowed[ids]
        return ids[close], edits[close].astype(np.int64)

    def _confirm(
        self,
        wanted: NDArray[np.uint64],
        at: NDArray[np.int64],
        steps: NDArray[np.int64],
        words: Sequence[str],
        common: frozenset[str],
    ) -> Iterator[FuzzyHit]:
        """Yields the names whose anchors are `wanted`; of the other way round, those of two words."""
        low, high = self._keys.searchsorted(wanted), self._keys.searchsorted(wanted, "right")
        for hit in (low < high).nonzero()[0].tolist():
            step = int(steps[hit])
            for number in self._rows[low[hit] : high[hit]].tolist():
                code, name = self._names[number]
                if step < 0 and len(name) != 2:
                    continue
                first = int(at[hit]) - int(self._anchor[number])
                distance = _distance(words, first, name[::step], common)
                if distance:
                    yield FuzzyHit(code, first, first + len(name), distance)


def _portions(counts: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yields ranges of words that overlap by one, with about `_MAX_PAIRS` pairs of candidates at most."""
    begin = pairs = 0
    for i in range(len(counts) - 1):
        pairs += counts[i] * counts[i + 1]
        if pairs > _MAX_PAIRS:
            yield begin, i + 2
            begin, pairs = i + 1, 0
    yield begin, len(counts)


def _neighbours(
    counts: NDArray[np.int64], place: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns all pairs of a candidate of one word and one of the next; `counts` are candidates by word."""
    ends = counts.cumsum()
    after = np.zeros_like(counts)
    after[:-1] = counts[1:]
    following = after[place]
    left = np.arange(len(place)).repeat(following)
    # Of each left one's neighbours the first stands where its own word's candidates end.
    shift = ends[place] - (following.cumsum() - following)
    return left, np.arange(len(left)) + shift[left]


def _letters(words: tuple[str, ...]) -> int:
    return len("".join(words))


def allowed_edits(letters: int) -> int:
    """Returns how many errors a name of so many letters may have."""
    return (letters >= MIN_LETTERS_ONE_EDIT) + (letters >= MIN_LETTERS_TWO_EDITS)


def _allowed_in_word(word: str) -> int:
    return (len(word) >= _MIN_WORD_LETTERS) + (len(word) >= _MIN_WORD_TWO_DELETES)


def _best_anchor(words: tuple[str, ...]) -> int:
    """Returns where the two neighbouring words with the most letters begin, of three words and more."""
    return max(range(len(words) - 1), key=lambda i: _letters(words[i : i + 2]))


def _distance(words: Sequence[str], first: int, name: tuple[str, ...], common: frozenset[str]) -> int:
    """Returns the edits from the words at `first` to `name`, or 0 where it is not a misspelling of it."""
    last = first + len(name)
    if first < 0 or last > len(words):
        return 0
    allowed, total = allowed_edits(_letters(name)), 0
    for seen, wanted in zip(words[first:last], name, strict=True):
        if seen == wanted:
            continue
        edits = OSA.distance(seen, wanted, score_cutoff=2)
        total += edits
        if seen in common or edits > _allowed_in_word(wanted) or total > allowed:
            return 0
    return total


def _delete_hashes(word: str) -> NDArray[np.uint64]:
    """Returns the hashes of `word` with no, one and (long words) two letters deleted."""
    codes = points(word).astype(np.uint64)
    most = 2 if len(word) >= _MIN_WORD_TWO_DELETES - 2 else 1
    return np.asarray(_delete_weights(len(word), most) @ codes)  # wraps modulo 2**64, as meant


@cache
def _delete_weights(length: int, most: int) -> NDArray[np.uint64]:
    """Returns what each letter of a word counts in its hashes: one row for each set of letters deleted."""
    sets = [gone for count in range(most + 1) for gone in combinations(range(length), count)]
    weights = np.zeros((len(sets), length), np.uint64)
    for row, gone in enumerate(sets):
        kept = np.delete(np.arange(length), gone)
        weights[row, kept] = powers(BASE, len(kept))[::-1]
    return weights


def _delete_index(words: list[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Returns the sorted hashes of all words with letters deleted, and the word id of each."""
    by_length: dict[int, list[int]] = {}
    for number, word in enumerate(words):
        if _MIN_WORD_LETTERS <= len(word) <= _MAX_WORD_LETTERS:
            by_length.setdefault(len(word), []).append(number)
    hashes, ids = [np.empty(0, np.uint64)], [np.empty(0, np.uint32)]
    for length, numbers in by_length.items():
        table = points("".join(words[n] for n in numbers)).reshape(-1, length).astype(np.uint64)
        most = 2 if length >= _MIN_WORD_TWO_DELETES else 1
        for weights in _delete_weights(length, most):
            hashes.append(table @ weights)  # wraps modulo 2**64, as meant
            ids.append(np.array(numbers, np.uint32))
    all_hashes, all_ids = np.concatenate(hashes), np.concatenate(ids)
    order = np.argsort(all_hashes)
    return all_hashes[order], all_ids[order]
