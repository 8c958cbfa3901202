"""Readings of a text in which disguises fall away, each character with its place in the original.

`read(text)` gives tokens over one string of letters:

* compatibility forms (NFKC), invisible and tag characters, and marks on Latin, Greek and Cyrillic letters
  go;
* letters that look like ASCII ones become those (UTS #39 section 4, a compact table in confusables.txt);
* digits and symbols inside words stand for letters (leet), remembered as doubtful;
* prompt-weight syntax such as `(word:1.2)` goes;
* what is not a letter or digit parts tokens; in scripts without word spaces every letter is a token.

The letters of all tokens stand side by side without separators, so that a name is the same string whether
it was written plainly, joined, or spaced out; `starts` and `ends` say where tokens begin and end.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from guard.keys import points

_SEPARATOR = " "
LEET_SYMBOLS = {"@": "a", "$": "s", "€": "e", "£": "l", "¥": "y", "¢": "c", "!": "i", "|": "i", "+": "t"}
_PUNCTUATION = frozenset("!+")  # a letter only inside a word, or where all symbols are
# One letter of a doubtful character may be one of several: 1 is i or l, 6 is g or b, 9 is g or q.
_READINGS = {"i": "il", "l": "il", "g": "gbq", "o": "oq", "u": "uv", "v": "uv"}
# A1111 and Compel weights: `:1.2` before a closing bracket, `++` and `--` after a word.
_WEIGHTS = re.compile(r":\s*[-+]?\d*\.?\d+\s*(?=[)\]}>])|(?<=[\w)])(\+{1,4}|-{2,4})(?=[\s,.)]|$)")
# Blocks whose characters are invisible although Unicode calls them letters or symbols.
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5\u180b\u180c\u180d\u180f")
_MARK_BLOCKS = (
    (0x300, 0x36F),
    (0x483, 0x489),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFE20, 0xFE2F),
    (0xE0100, 0xE01EF),
)
# Letters A to Z in frames and flags, which have no compatibility form: negative circled, negative squared,
# regional indicators.
_FRAMED = (0x1F150, 0x1F170, 0x1F1E6)
# Scripts that put no spaces between words: Thai, Lao, Myanmar, Khmer, kana, bopomofo, Han.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff]"
)
# Letters with strokes, hooks and the like, and small capitals, do not fall apart under any normal form.
_LATIN_LETTER = re.compile(r"LATIN (?:(?:SMALL|CAPITAL) LETTER|LETTER SMALL CAPITAL) ([A-Z])(?: WITH .*)?")
# Nothing in it stands for anything else: no symbols that are letters, no prompt weights.
_PLAIN = re.compile(r"[A-Za-z0-9\s,.:;'\"?()\[\]{}&#%*/<>=\\^_`~-]*", re.ASCII)
_REPEATED = re.compile(r"(.)\1")
_PLAIN_TOKEN = re.compile("[A-Za-z0-9]+")
_DOUBT_DIGITS = bytes(int(chr(code).isdigit()) for code in range(128)) + bytes(128)
_TAGS = re.compile("[\U000e0020-\U000e007e]+")


class Symbols(Enum):
    """Where symbols are letters: inside words (`M!k3`), anywhere (`Sc0++`), or nowhere (`[red|blue]`)."""

    INSIDE = "inside"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as letters.

    `letters` has one character per letter; `classes` the same with i and l made one, for the search;
    `doubtful` is true where a letter stands for a digit, a symbol or a lookalike; `offsets` are indices
    into the original. `starts` and `ends` are 1 at the first and the last letter of a token. `tokens` are
    half-open ranges of letters.
    """

    text: str
    letters: str
    classes: str
    doubtful: bytes
    offsets: list[int]
    starts: bytearray
    ends: bytearray
    tokens: list[tuple[int, int]]

    def token(self, index: int) -> str:
        """Returns the letters of a token."""
        first, last = self.tokens[index]
        return self.letters[first:last]

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Returns the half-open span in the original of the letters from `first` to `last` inclusive."""
        end = self.offsets[last] + 1
        while end < len(self.text) and fold(self.text[end]) == "":
            end += 1  # marks and invisible characters that hang on the last letter
        return self.offsets[first], end


def to_classes(letters: str) -> str:
    """Returns letters for the search: l is i, digits are the letters they stand for."""
    if letters.isalpha():
        return letters.replace("l", "i")
    return letters.translate(_CLASS_TABLE)


_CLASS_TABLE = str.maketrans("l0123456789", "ioizeasgtbg")


def same_letter(seen: str, doubtful: int, wanted: str) -> bool:
    """True where a letter of a text can be the wanted letter of an entry."""
    if seen == wanted:
        return True
    if not doubtful:
        return False
    seen_class, wanted_class = to_classes(seen), to_classes(wanted)
    return seen_class == wanted_class or wanted in _READINGS.get(seen_class, "")


@cache
def lookalikes() -> dict[str, str]:
    """Returns the ASCII letters that a character looks like, for those that do."""
    lines = files("guard").joinpath("confusables.txt").read_text("utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("#"))
    return {char: letters for letters, chars in pairs for char in chars}


@lru_cache(maxsize=1 << 16)
def fold(char: str) -> str:
    """Returns the letters that one character stands for: "" for invisible ones, " " for what parts words."""
    if char.isascii():
        return char.lower() if char.isalnum() else _SEPARATOR
    if _is_mark(char) or char in _INVISIBLE:
        return ""
    table = lookalikes()
    if char in table:
        return table[char]
    for first in _FRAMED:
        if first <= ord(char) < first + 26:
            return chr(ord(char) - first + ord("a"))
    compatible = unicodedata.normalize("NFKC", char)
    letters = (_fold_letter(c, table) for c in compatible)
    folded = "".join(letters)
    return folded if not folded.strip() else folded.replace(_SEPARATOR, "")


def _fold_letter(char: str, table: dict[str, str]) -> str:
    category = unicodedata.category(char)
    if category in ("Cf", "Cc", "Co", "Cn", "Cs"):
        return "" if char not in "\t\n\r\v\f\x85" else _SEPARATOR
    if char in table:
        return table[char]
    if latin := _LATIN_LETTER.fullmatch(unicodedata.name(char, "")):
        return latin[1].lower()
    base = char
    if not "가" <= char <= "힣":  # a Hangul syllable would fall apart
        base = "".join(c for c in unicodedata.normalize("NFD", char) if not _is_mark(c))
    lower = base.casefold()
    folded = "".join(table.get(c, c) for c in lower)
    return folded if category[0] in "LNM" else _SEPARATOR


def _is_mark(char: str) -> bool:
    point = ord(char)
    return any(first <= point <= last for first, last in _MARK_BLOCKS)


def read(text: str, *, symbols: Symbols = Symbols.INSIDE) -> Reading:
    """Returns the letters and tokens of `text`; takes time linear in its length.

    `symbols` says where `@`, `$`, `!` and the like are letters.
    """
    if _PLAIN.fullmatch(text) and not (":" in text and _WEIGHTS.search(text)):
        return _read_plain(text)
    letters: list[str] = []
    offsets: list[int] = []
    doubtful = bytearray()
    starts = bytearray()
    skip = frozenset() if symbols is Symbols.ALL else _weights(text)
    parted = True
    for index, char in enumerate(text):
        folded = fold(char)
        if folded == _SEPARATOR and char in LEET_SYMBOLS:
            folded = _symbol(text, index, symbols) or folded
        if not folded or index in skip:
            continue
        if folded == _SEPARATOR:
            parted = True
            continue
        doubt = not (char.isascii() and char.isalpha())
        unspaced = doubt and UNSPACED.match(char) is not None
        for letter in folded:
            letters.append(letter)
            offsets.append(index)
            starts.append(parted or unspaced)
            doubtful.append(doubt)
            parted = False
        parted = unspaced
    return _finish(text, letters, offsets, doubtful, starts)


def _read_plain(text: str) -> Reading:
    """Reads a text of ASCII letters and digits and what parts them, the usual case, in a few operations."""
    spans = [match.span() for match in _PLAIN_TOKEN.finditer(text)]
    offsets = [i for begin, end in spans for i in range(begin, end)]
    joined = "".join([text[begin:end] for begin, end in spans])
    doubtful = bytearray(joined.encode("ascii").translate(_DOUBT_DIGITS))
    starts, ends, tokens, at = bytearray(len(joined)), bytearray(len(joined)), [], 0
    for begin, end in spans:
        starts[at] = 1
        tokens.append((at, at + end - begin))
        at += end - begin
        ends[at - 1] = 1
    if "I" in text:
        for begin, end in tokens:
            _doubt_capitals(text, offsets, doubtful, begin, end)
    letters = joined.lower()
    return Reading(text, letters, to_classes(letters), bytes(doubtful), offsets, starts, ends, tokens)


def _weights(text: str) -> frozenset[int]:
    if ":" not in text and "++" not in text and "--" not in text:
        return frozenset()
    return frozenset(i for match in _WEIGHTS.finditer(text) for i in range(*match.span()))


def _symbol(text: str, index: int, symbols: Symbols) -> str | None:
    """Returns the letter that a symbol in a word stands for, or None where it is punctuation."""
    if symbols is Symbols.NONE:
        return None
    char = text[index]
    before = index > 0 and (text[index - 1].isalnum() or text[index - 1] in LEET_SYMBOLS)
    after = index + 1 < len(text) and (text[index + 1].isalnum() or text[index + 1] in LEET_SYMBOLS)
    if (before and after) or ((before or after) and (symbols is Symbols.ALL or char not in _PUNCTUATION)):
        return LEET_SYMBOLS[char]
    return None


def _finish(
    text: str, letters: list[str], offsets: list[int], doubtful: bytearray, starts: bytearray
) -> Reading:
    tokens, ends = _tokens(starts)
    joined = "".join(letters)
    for begin, end in tokens:
        _doubt_capitals(text, offsets, doubtful, begin, end)
    return Reading(text, joined, to_classes(joined), bytes(doubtful), offsets, starts, ends, tokens)


def _tokens(starts: bytearray) -> tuple[list[tuple[int, int]], bytearray]:
    """Returns the tokens that begin where `starts` is 1, and 1 at the last letter of each."""
    tokens = list(pairwise([*(i for i, first in enumerate(starts) if first), len(starts)]))
    ends = bytearray(len(starts))
    for _, end in tokens:
        ends[end - 1] = 1
    return tokens, ends


def _doubt_capitals(text: str, offsets: list[int], doubtful: bytearray, begin: int, end: int) -> None:
    """A capital I after a small letter is there to be read as l."""
    for i in range(begin + 1, end):
        if text[offsets[i]] == "I" and text[offsets[i - 1]].islower():
            doubtful[i] = 1


def collapse(reading: Reading) -> Reading | None:
    """Returns `reading` with repeated letters inside tokens written once, or None where there are none."""
    if not _REPEATED.search(reading.classes):
        return None
    letters, classes = points(reading.letters), points(reading.classes)
    starts = np.frombuffer(reading.starts, np.uint8)
    different = starts != 0
    different[1:] |= classes[1:] != classes[:-1]
    keep = different.nonzero()[0]
    if len(keep) == len(classes):
        return None
    kept = bytearray(starts[keep].tobytes())
    tokens, ends = _tokens(kept)
    return Reading(
        reading.text,
        _text(letters[keep]),
        _text(classes[keep]),
        np.frombuffer(reading.doubtful, np.uint8)[keep].tobytes(),
        keep.tolist(),  # indices into the letters of `reading`, not into the text
        kept,
        ends,
        tokens,
    )


def _text(codes: NDArray[np.uint32]) -> str:
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


def hidden_text(text: str) -> str:
    """Returns what is written in Unicode's invisible tag characters (deprecated in Unicode 5.1), or ""."""
    return " ".join("".join(chr(ord(c) - 0xE0000) for c in run) for run in _TAGS.findall(text))
