"""Regular expressions of a policy: RE2, which matches in time linear in the text whatever the pattern.

A text is read twice: as it was sent, and cleaned, that is lower case, without invisible characters and
marks, and with lookalike letters as what they look like. Case never matters.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import re2

from guard.model import Certainty, EntryList
from guard.views import fold

MAX_PATTERN_MEMORY = 1 << 20  # bytes of one compiled pattern; RE2 refuses what needs more
MAX_HITS = 64  # of one pattern in one text
_SURROGATES = re.compile("[\ud800-\udfff]")  # which UTF-8, and so RE2, cannot hold
_WORD = re.compile(r"\S+")
_NESTED_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}")


@dataclass(frozen=True, slots=True)
class PatternHit:
    """A piece of a text that fits a pattern; the span is of the text as sent."""

    list: str
    entry: str
    start: int
    end: int
    certainty: Certainty
    view: str
    first_word: int
    last_word: int


def _options() -> re2.Options:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = MAX_PATTERN_MEMORY
    return options


def pattern_fault(pattern: str) -> str:
    """Returns why a pattern cannot be used, or ""."""
    try:
        compiled = re2.compile(pattern, _options())
    except re2.error as error:
        message = error.args[0] if error.args else error
        text = message.decode() if isinstance(message, bytes) else str(message)
        return f"is not a pattern of RE2 ({text}); back-references and look-around do not exist in it"
    if compiled.search(""):
        return "fits the empty text, so it would fit every prompt"
    return ""


def repeats_a_repetition(pattern: str) -> bool:
    """True for a repetition inside a repetition, such as `(a+)+`.

    Such patterns take exponential time in backtracking engines (Davis et al. 2018, "The impact of regular
    expression denial of service"). RE2 runs them in linear time, but they hardly ever say what was meant.
    """
    opened: list[int] = []
    plain = re.sub(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]", "x", pattern)
    for index, char in enumerate(plain):
        if char == "(":
            opened.append(index)
        elif char == ")" and opened:
            inside = plain[opened.pop() + 1 : index]
            if _NESTED_REPEAT.match(plain, index + 1) and _NESTED_REPEAT.search(inside):
                return True
    return False


class PatternSet:
    """The patterns of several lists, compiled; immutable and safe to share between threads."""

    def __init__(self, lists: Iterable[EntryList]) -> None:
        self._patterns = [
            (entries.name, entry.id, re2.compile(entry.names[0], _options()))
            for entries in lists
            for entry in entries.entries
        ]

    def scan(self, text: str) -> Iterator[PatternHit]:
        """Yields the pieces of `text` that fit; those of the cleaned text only where the text has none."""
        if not self._patterns:
            return
        plain = _SURROGATES.sub("\ufffd", text)
        cleaned, offsets = _clean(plain)
        for name, entry, pattern in self._patterns:
            found = list(_spans(pattern, plain))
            certainty, view = Certainty.SURE, "plain"
            if not found and cleaned != plain:
                found = [(offsets[a], offsets[b - 1] + 1) for a, b in _spans(pattern, cleaned)]
                certainty, view = Certainty.LIKELY, "cleaned"
            for start, end in found:
                first, last = _words_at(plain, start, end)
                yield PatternHit(name, entry, start, end, certainty, view, first, last)


def _words_at(text: str, start: int, end: int) -> tuple[int, int]:
    """Returns the numbers of the first and the last word of the text that a span covers."""
    starts = [word.start() for word in _WORD.finditer(text)]
    return bisect_right(starts, start) - 1, bisect_left(starts, end) - 1


def _spans(pattern: re2._Regexp, text: str) -> Iterator[tuple[int, int]]:
    for number, match in enumerate(pattern.finditer(text)):
        if number == MAX_HITS:
            return
        if match.end() > match.start():
            yield match.start(), match.end()


def _mark(char: str) -> str:
    """Returns a character between words as the ASCII one that it is a form of, or else a blank."""
    plain = unicodedata.normalize("NFKC", char)
    return plain if len(plain) == 1 and plain.isascii() else " "


def _clean(text: str) -> tuple[str, list[int]]:
    """Returns the cleaned text, and the place in `text` of each of its characters."""
    pieces: list[str] = []
    offsets: list[int] = []
    for index, char in enumerate(text):
        letters = fold(char)
        letters = _mark(char) if letters == " " else letters
        pieces.append(letters)
        offsets += [index] * len(letters)
    return "".join(pieces), offsets
