"""The gazetteer: every entry of every list, found in a text in whatever disguise, in one pass.

Words are strings of letters in an Aho-Corasick automaton (Aho and Corasick 1975); people, of whom there may
be hundreds of thousands, are in an index of hashes (`guard.keys`), also with their names in other orders; all
are there with repeated letters written once too. What is found is confirmed letter by letter against the
entry, and must begin and end where tokens do. Misspelt names come from `guard.fuzzy`, names in other
alphabets from their sounds (`guard.sound`).
"""

from __future__ import annotations

import gc
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import NamedTuple

import ahocorasick
import numpy as np
from numpy.typing import NDArray

from guard.confirm import collapsed, last_of_run, parting_of, readings_of, same_letters
from guard.fuzzy import FuzzyIndex
from guard.keys import MAX_KEY_LETTERS, KeyIndex
from guard.model import Certainty, EntryList
from guard.sound import MAX_WORDS, SoundIndex, romanise, sounds, sounds_like
from guard.views import (
    LEET_SYMBOLS,
    UNSPACED,
    Reading,
    Symbols,
    collapse,
    hidden_text,
    read,
    to_classes,
)

_MAX_ORDERED_WORDS = 6  # words of a name that is tried in other orders
_SUFFIXES = frozenset({"jr", "sr"})
_WORD = re.compile(r"\S+")
_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_NEEDS_READING = re.compile(r"[^\x00-\x7f]|[@$!|+]")
_ROTATION_SHIFT, _NAME_SHIFT = 1, 4  # bits of a code: collapsed, rotation, name


@dataclass(frozen=True, slots=True)
class Match:
    """An entry found in a text; `start` and `end` are a half-open span of the text as given."""

    list: str
    entry: str
    kind: str  # the condition that asks for such lists: words or mentions
    start: int
    end: int
    view: str
    certainty: Certainty
    first_word: int = 0
    last_word: int = 0


class _Owner(NamedTuple):
    list: str
    entry: str
    kind: str


class _Form(NamedTuple):
    """A word, its letters for the search, and those with repeated ones written once."""

    word: str
    classes: str
    once: str


@cache
def common_words() -> frozenset[str]:
    """Returns everyday English words, which are not taken for misspelt names."""
    text = files("guard").joinpath("common_words.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if not line.startswith("#"))


def words_of(name: str) -> tuple[str, ...]:
    """Returns the words of an entry as readings spell them."""
    if not _NEEDS_READING.search(name):
        return tuple(_ASCII_WORDS.findall(name.lower()))
    reading = read(name)
    return tuple(reading.token(i) for i in range(len(reading.tokens)))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Building makes a million tuples and no cycles; to walk them all again and again takes long."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Gazetteer:
    """The entries of several lists, compiled. Immutable once built; safe to share between threads."""

    def __init__(self, lists: Iterable[EntryList]) -> None:
        self._owners: list[_Owner] = []
        self._names: list[tuple[str, ...]] = []  # words
        self._owner_of: list[int] = []
        self._open: set[int] = set()  # names that any ending may follow
        self._same_key: dict[int, list[int]] = {}
        self._automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
        self._length: dict[int, int] = {}  # of the keys in it, by the code that it has
        self._forms: dict[str, _Form] = {}  # of the words of people's names, while building
        with _collector_paused():
            self._keys = KeyIndex(chain.from_iterable(map(self._add_list, lists)))
            self._forms = {}
            self._automaton.make_automaton()
            people = [n for n, owner in enumerate(self._owner_of) if self._owners[owner].kind == "mentions"]
            named = [(n, self._names[n]) for n in people]
            self._fuzzy = FuzzyIndex(named)
            self._by_sound = SoundIndex(named)

    def __len__(self) -> int:
        return len(self._owners)

    # ------------------------------------------------------------ building

    def _add_list(self, entries: EntryList) -> Iterator[tuple[str, int]]:
        """Adds a list; yields the keys of people, and puts those of words into the automaton."""
        people = entries.kind == "people"
        kind = sys.intern("mentions" if people else "words")
        known = self._forms.get
        for entry in entries.entries:
            variants = [variant for name in entry.names for variant in _variants(name, people)]
            for words in dict.fromkeys(variants):
                number = len(self._names)
                forms = [known(word) or self._form(word) for word in words]
                self._names.append(tuple([form.word for form in forms]))
                self._owner_of.append(len(self._owners))
                if not people and entry.names[0].endswith("*"):
                    self._open.add(number)
                keys = _keys(number, forms, people)
                if people and len(keys[0][0]) <= MAX_KEY_LETTERS:
                    yield from keys
                else:
                    for key, code in keys:
                        self._add_key(key, code)
            self._owners.append(_Owner(entries.name, entry.id, kind))

    def _form(self, word: str) -> _Form:
        classes = to_classes(word)
        form = self._forms[word] = _Form(word, classes, collapsed(classes))
        return form

    def _add_key(self, key: str, code: int) -> None:
        first = self._automaton.get(key, -1)
        if first < 0:
            self._automaton.add_word(key, code)
            self._length[code] = len(key)
        else:
            self._same_key.setdefault(first, []).append(code)

    # ------------------------------------------------------------ searching

    def scan(self, text: str) -> list[Match]:
        """Returns the entries in `text`, by place; one per entry and place, the surest."""
        if not self._names:
            return []
        reading = read(text)
        found = self._whole(reading)
        if not LEET_SYMBOLS.keys().isdisjoint(text):
            for symbols in (Symbols.ALL, Symbols.NONE):
                found += self._whole(read(text, symbols=symbols))
        found += self._misspelt(reading)
        if not text.isascii():
            found += self._by_sounds(reading)
            if hidden := hidden_text(text):
                found += self._hidden(text, hidden)
        return _number_words(text, _surest(found)) if found else []

    def _whole(self, reading: Reading) -> list[Match]:
        """Returns the entries written with all their letters, each as often as it should be or more."""
        found = list(self._exact(reading, reading, None))
        if once := collapse(reading):
            # A piece in which no letter was left out is the same in both, and found already.
            left_out = np.array([*once.offsets, len(reading.letters)]) - np.arange(len(once.offsets) + 1)
            found += self._exact(once, reading, left_out)
        return found

    def _exact(self, view: Reading, reading: Reading, left_out: NDArray[np.int64] | None) -> Iterator[Match]:
        for first, last, code in self._candidates(view, left_out):
            match = self._confirm(code, first, last, view, reading)
            if match:
                yield match

    def _candidates(
        self, view: Reading, left_out: NDArray[np.int64] | None
    ) -> Iterator[tuple[int, int, int]]:
        if not view.letters:
            return
        yield from self._keys.find(view.classes, view.starts, view.ends, left_out)
        if not len(self._automaton):
            return
        for last, first_code in self._automaton.iter(view.classes):
            first = last - self._length[first_code] + 1
            if view.starts[first] and (left_out is None or left_out[last + 1] > left_out[first]):
                for code in (first_code, *self._same_key.get(first_code, ())):
                    yield first, last, code

    def _confirm(self, code: int, first: int, last: int, view: Reading, reading: Reading) -> Match | None:
        """Returns the match of a code between two letters of `view`, or None where it is chance."""
        number, rotation = code >> _NAME_SHIFT, (code >> _ROTATION_SHIFT) & 7
        if not view.ends[last] and number not in self._open:
            return None
        words = self._names[number]
        words = words[rotation:] + words[:rotation]
        repeated = view is not reading
        begin, end = (view.offsets[first], last_of_run(view, last, reading)) if repeated else (first, last)
        if not same_letters(reading, begin, end, "".join(words), repeated):
            return None
        parting = parting_of(
            view,
            first,
            last,
            [len(collapsed(to_classes(w))) if code & 1 else len(w) for w in words],
            common_words(),
        )
        if parting is None:
            return None
        names = readings_of(reading, begin, end, words)
        names += ["repeated letters"] * repeated + [parting] * bool(parting)
        names += ["order of names"] * bool(rotation)
        sure = not (repeated or parting or "digits for letters" in names)
        return self._match(
            number, reading.span(begin, end), names, Certainty.SURE if sure else Certainty.LIKELY
        )

    def _misspelt(self, reading: Reading) -> Iterator[Match]:
        words = [reading.token(i) for i in range(len(reading.tokens))]
        for hit in self._fuzzy.search(words, common_words()):
            span = reading.span(reading.tokens[hit.first][0], reading.tokens[hit.last - 1][1] - 1)
            name = f"{hit.distance} typing error{'s' * (hit.distance > 1)}"
            yield self._match(hit.code, span, [name], Certainty.LIKELY)

    def _by_sounds(self, reading: Reading) -> Iterator[Match]:
        spans = [reading.span(first, last - 1) for first, last in reading.tokens]
        pieces = [reading.text[begin:end] for begin, end in spans]
        foreign = [not piece.isascii() and not UNSPACED.search(piece) for piece in pieces]
        spelt = [sounds("".join(filter(str.isalnum, romanise(piece)))) for piece in pieces]
        for size in range(1, MAX_WORDS + 1):
            for i in range(len(pieces) - size + 1):
                if not all(foreign[i : i + size]):
                    continue
                heard = spelt[i : i + size]
                for number in self._by_sound.find(heard):
                    if sounds_like(heard, self._names[number]):
                        span = (spans[i][0], spans[i + size - 1][1])
                        yield self._match(number, span, ["transliteration"], Certainty.LIKELY)

    def _hidden(self, text: str, hidden: str) -> Iterator[Match]:
        first = next(i for i, c in enumerate(text) if "\U000e0020" <= c <= "\U000e007e")
        last = max(i for i, c in enumerate(text) if "\U000e0020" <= c <= "\U000e007e")
        for match in self._exact(reading := read(hidden), reading, None):
            owner = _Owner(match.list, match.entry, match.kind)
            yield _match(owner, (first, last + 1), ["invisible text"], Certainty.LIKELY)

    def _match(self, number: int, span: tuple[int, int], views: Sequence[str], certainty: Certainty) -> Match:
        return _match(self._owners[self._owner_of[number]], span, views, certainty)


def _match(owner: _Owner, span: tuple[int, int], views: Sequence[str], certainty: Certainty) -> Match:
    view = " + ".join(views) or "plain"
    return Match(owner.list, owner.entry, owner.kind, span[0], span[1], view, certainty)


def _variants(name: str, people: bool) -> list[tuple[str, ...]]:
    """Returns the words of a name, and of a person's name without initials and suffixes."""
    words = words_of(name)
    if not words:
        return []
    if people and len(words) > 2 and words[0].isascii():
        short = tuple([word for word in words if len(word) > 1 and word not in _SUFFIXES])
        if 2 <= len(short) < len(words):
            return [words, short]
    return [words]


def _keys(number: int, forms: Sequence[_Form], people: bool) -> list[tuple[str, int]]:
    """Returns keys and codes of a name, the longest first: as it is and with letters written once; of people
    in other orders too."""
    keys = [form.classes for form in forms]
    once = [form.once for form in forms]
    repeats = once != keys
    found = []
    for rotation in range(len(forms) if people and len(forms) <= _MAX_ORDERED_WORDS else 1):
        code = number << _NAME_SHIFT | rotation << _ROTATION_SHIFT
        found.append(("".join(keys), code))
        keys.append(keys.pop(0))
        if repeats:
            found.append(("".join(once), code | 1))
            once.append(once.pop(0))
    return found


def _surest(found: list[Match]) -> list[Match]:
    """Drops matches of an entry that overlap a surer one of the same entry."""
    found.sort(key=lambda m: (-m.certainty.rank, -(m.end - m.start), m.start))  # exact before misspelt
    kept: list[Match] = []
    taken: dict[tuple[str, str], list[tuple[int, int]]] = {}  # disjoint spans, in order
    for match in found:
        spans = taken.setdefault((match.list, match.entry), [])
        at = bisect_left(spans, (match.end,))
        if at == 0 or spans[at - 1][1] <= match.start:
            spans.insert(at, (match.start, match.end))
            kept.append(match)
    return sorted(kept, key=lambda m: (m.start, m.end, m.list, m.entry))


def _number_words(text: str, found: list[Match]) -> list[Match]:
    """Gives each match the numbers of the first and the last word of the text that it covers."""
    starts = [word.start() for word in _WORD.finditer(text)]
    return [
        replace(m, first_word=bisect_right(starts, m.start) - 1, last_word=bisect_left(starts, m.end) - 1)
        for m in found
    ]
