"""Names by their sound: how a name of Latin letters looks after a journey through another alphabet and back.

Words are reduced to consonants in classes that transliterations mix up (k, c, q, ck; v, w; s, z, sh, ...),
and a name is looked up by the hashes of its words. What is found is confirmed with the vowels.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from anyascii import anyascii
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from guard.keys import BASE

MIN_CONSONANTS = 3  # consonants of a name that is looked up by its sound
MIN_SOUND_SIMILARITY = 0.7  # of the sounds with vowels, 1 is equal
MAX_WORDS = 4  # words of a name that is looked up by its sound

_SOUNDS = (
    (re.compile("shch|sch|sh"), "s"),
    (re.compile("dzh|zh|dj|j"), "j"),
    (re.compile("kh"), "h"),
    (re.compile("tch|ch|ck|ts|q|k"), "k"),
    (re.compile("ph|f"), "p"),
    (re.compile("x"), "ks"),
    (re.compile("w"), "v"),
    (re.compile("z"), "s"),
    (re.compile("h"), ""),
)
_NEVER = re.compile("(?!)")
# How letters sound differs: all c as k, all as s, or as s before e, i and y; w as v, or as the vowel u.
READINGS: Mapping[str, tuple[re.Pattern[str], re.Pattern[str]]] = {
    "hard c": (_NEVER, _NEVER),
    "soft c": (re.compile("c(?!h|k)"), _NEVER),
    "mixed c": (re.compile("c(?=[eiy])"), _NEVER),
    "hard c, vowel w": (_NEVER, re.compile("w")),
    "mixed c, vowel w": (re.compile("c(?=[eiy])"), re.compile("w")),
}
# Two Greek letters that stand for one Latin one.
_GREEK = (
    ("μπ", "b"),
    ("ντ", "d"),
    ("γκ", "g"),
    ("τζ", "j"),
    ("τσ", "k"),
    ("ου", "u"),
    ("χ", "h"),
    ("γου", "w"),
)
_IS_GREEK = re.compile("[\u0370-\u03ff]")
_VOWELS = re.compile("[aeiouy]")
_RUNS = re.compile(r"(.)\1+")


def sounds(word: str, reading: str = "hard c") -> str:
    """Returns Latin letters as they sound when written in another alphabet and back.

    `reading` is one of `READINGS`. Lines are taken one by one, so that many words can be handed over at once.
    """
    soft_c, vowel_w = READINGS[reading]
    word = vowel_w.sub("u", soft_c.sub("s", word.lower()))
    for pattern, sound in _SOUNDS[:4]:
        word = pattern.sub(sound, word)
    word = word.replace("c", "k")
    for pattern, sound in _SOUNDS[4:]:
        word = pattern.sub(sound, word)
    return _RUNS.sub(r"\1", word)


def consonants(word: str) -> str:
    """Returns the sounds without vowels."""
    return _RUNS.sub(r"\1", _VOWELS.sub("", word))


@lru_cache(maxsize=1 << 14)
def romanise(word: str) -> str:
    """Returns a word of any script in Latin letters (anyascii), lower case."""
    if _IS_GREEK.search(word):
        word = unicodedata.normalize("NFD", word.lower())
        for greek, latin in _GREEK:
            word = word.replace(greek, latin)
    return anyascii(word).lower()


class SoundIndex:
    """Names by their consonants, in each reading."""

    def __init__(self, names: Sequence[tuple[int, tuple[str, ...]]]) -> None:
        """Indexes names, each a number below 2**31 and its words."""
        ids: dict[str, int] = {}
        by_count: dict[int, tuple[list[int], list[int]]] = {n: ([], []) for n in range(1, MAX_WORDS + 1)}
        for number, words in names:
            if len(words) <= MAX_WORDS:
                numbers, table = by_count[len(words)]
                numbers.append(number)
                table.extend([ids.setdefault(word, len(ids)) for word in words])
        heard = _heard(list(ids))
        keys, found = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
        for count, (numbers, table) in by_count.items():
            columns = np.array(table, np.int32).reshape(-1, count)
            for key, rows in _keys_of(columns, heard):
                keys.append(key)
                found.append(np.array(numbers, np.int32)[rows])
        unsorted = np.concatenate(keys)
        order = np.argsort(unsorted)
        self._keys, self._numbers = unsorted[order], np.concatenate(found)[order]

    def find(self, heard: Sequence[str]) -> Iterator[int]:
        """Yields the numbers of names with the consonants of `heard`, one word or several."""
        key = _key([consonants(word) for word in heard])
        at = int(self._keys.searchsorted(key))
        while at < len(self._keys) and self._keys[at] == key:
            yield int(self._numbers[at])
            at += 1


def sounds_like(heard: Sequence[str], name: Sequence[str]) -> bool:
    """True where the sounds heard, vowels included, are near those of `name`."""
    said = " ".join(heard)
    return any(
        Levenshtein.normalized_similarity(said, " ".join(sounds(word, reading) for word in name))
        >= MIN_SOUND_SIMILARITY
        for reading in READINGS
    )


Heard = tuple[NDArray[np.uint64], NDArray[np.int64]]  # of words: hash and number of their consonants


def _heard(words: list[str]) -> list[Heard]:
    """Returns what is heard of each word, in each reading."""
    result: list[Heard] = []
    for reading in READINGS:
        heard = consonants(sounds("\n".join(words), reading)).split("\n") if words else []
        # Words that are not ASCII have no Latin sound; a negative length keeps their names out.
        letters = np.array([len(word) if word.isascii() else -100 for word in heard], np.int64)
        result.append((np.fromiter(map(_hash, heard), np.uint64, len(heard)), letters))
    return result


def _keys_of(
    table: NDArray[np.int32], heard: Sequence[Heard]
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Yields keys and rows of names, given as numbers of their words; a key that a name has once, once."""
    earlier: list[NDArray[np.uint64]] = []
    for hashes, letters in heard:
        key = _combine([hashes[column] for column in table.T])
        good = letters[table].sum(1) >= MIN_CONSONANTS
        for other in earlier:
            good &= key != other
        earlier.append(key)
        rows = good.nonzero()[0]
        yield key[rows], rows


def _combine(columns: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        key = key * np.uint64(BASE) + column
    return key


def _key(words: Sequence[str]) -> np.uint64:
    return np.uint64(_combine([np.array([_hash(word)], np.uint64) for word in words])[0])


def _hash(word: str) -> int:
    return hash(word) & 0xFFFFFFFFFFFFFFFF
