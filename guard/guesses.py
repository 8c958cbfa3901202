"""Guesses, for conditions with `certainty: possible`: a person's family name alone, or with one typing error.

"Klobuchar" may be Amy Klobuchar and may be anybody else of that name; that is what `possible` says. Family
names that are everyday words, or shorter than five letters, are not guessed at all.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from guard.model import EntryList
from guard.names import common_words, words_of
from guard.views import read, to_classes

MIN_LETTERS = 5  # of a family name that is guessed at
MIN_LETTERS_ONE_EDIT = 8  # of one that may also be misspelt
MAX_TOKENS = 4_000  # of one text; longer ones are read up to here
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Guess:
    """A word that may be somebody's family name; the span is of the text as sent."""

    list: str
    entry: str
    start: int
    end: int
    view: str
    first_word: int
    last_word: int


class FamilyNames:
    """The family names of some lists of people, compiled."""

    def __init__(self, lists: Iterable[EntryList]) -> None:
        self._owners: dict[str, list[tuple[str, str]]] = {}
        self._deletes: dict[str, set[str]] = {}
        for entries in lists:
            for entry in entries.entries:
                self._add(entries.name, entry.id, words_of(entry.names[0]))

    def _add(self, name: str, entry: str, words: tuple[str, ...]) -> None:
        if len(words) < 2 or len(words[-1]) < MIN_LETTERS or words[-1] in common_words():
            return
        family = to_classes(words[-1])
        self._owners.setdefault(family, []).append((name, entry))
        if len(family) >= MIN_LETTERS_ONE_EDIT:
            for form in _one_less(family):
                self._deletes.setdefault(form, set()).add(family)

    def scan(self, text: str) -> Iterator[Guess]:
        """Yields the words of `text` that are, or resemble, a family name."""
        if not self._owners:
            return
        reading = read(text)
        starts = [word.start() for word in _WORD.finditer(text)]
        for first, last in reading.tokens[:MAX_TOKENS]:
            if reading.letters[first:last] in common_words():
                continue
            for family, view in self._families(reading.classes[first:last]):
                start, end = reading.span(first, last - 1)
                words = bisect_right(starts, start) - 1, bisect_left(starts, end) - 1
                for name, entry in self._owners[family]:
                    yield Guess(name, entry, start, end, view, *words)

    def _families(self, token: str) -> Iterator[tuple[str, str]]:
        if token in self._owners:
            yield token, "family name alone"
        elif len(token) >= MIN_LETTERS_ONE_EDIT - 1:
            near = set().union(*(self._deletes.get(form, ()) for form in (token, *_one_less(token))))
            for family in sorted(near):
                if OSA.distance(token, family) == 1:
                    yield family, "family name alone + 1 typing error"


def _one_less(word: str) -> set[str]:
    return {word[:i] + word[i + 1 :] for i in range(len(word))} | {word}
