"""Whether letters that may be an entry of a list are one, and how they were disguised."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from guard.views import Reading, same_letter

MIN_REJOINED_LETTERS = 7  # letters of an entry whose words may be parted or joined at will
MIN_SPACED_LETTERS = 3  # letters of an entry written l e t t e r by letter
_RUN = re.compile(r"(.)\1+")


def collapsed(word: str) -> str:
    """Returns a word with repeated letters written once."""
    return _RUN.sub(r"\1", word) if _RUN.search(word) else word


def last_of_run(view: Reading, last: int, reading: Reading) -> int:
    """Returns the last letter in `reading` that the collapsed letter `last` stands for."""
    return view.offsets[last + 1] - 1 if last + 1 < len(view.offsets) else len(reading.letters) - 1


def same_letters(reading: Reading, begin: int, end: int, wanted: str, repeated: bool) -> bool:
    """True where the letters of a reading spell `wanted`; `repeated`: each as often as wished, or more."""
    at = 0
    for i in range(begin, end + 1):
        if at < len(wanted) and same_letter(reading.letters[i], reading.doubtful[i], wanted[at]):
            at += 1
        elif not (repeated and i > begin and reading.classes[i] == reading.classes[i - 1]):
            return False
    return at == len(wanted)


def parting_of(
    view: Reading, first: int, last: int, lengths: list[int], common: frozenset[str]
) -> str | None:
    """Returns how the tokens differ from the entry's words: "" not at all, None too much to be meant.

    `common` are everyday words, which are not pieces of a name by chance.
    """
    tokens = view.tokens[bisect_left(view.tokens, (first,)) : bisect_left(view.tokens, (last + 1,))]
    seen = [min(end, last + 1) - begin for begin, end in tokens]
    if seen == lengths:
        return ""
    letters = sum(lengths)
    if max(seen) == 1 and view.letters[first].isascii():
        return "spaced out" if letters >= MIN_SPACED_LETTERS else None
    if not view.letters[first].isascii():
        return "spaced out"
    everyday = all(view.letters[begin:end] in common for begin, end in tokens)
    if letters < MIN_REJOINED_LETTERS or everyday:
        return None
    return "joined" if len(seen) < len(lengths) else "parted"


def readings_of(reading: Reading, begin: int, end: int, words: Sequence[str]) -> list[str]:
    """Returns the readings that were needed to see the letters of a match."""
    names: list[str] = []
    slice_ = [reading.text[i] for i in reading.offsets[begin : end + 1]]
    wanted = "".join(words)
    if any(c.isascii() and not c.isalpha() for c in slice_) and not any(c.isdigit() for c in wanted):
        names.append("digits for letters")
    ascii_wanted = wanted.isascii()
    if ascii_wanted and any(not c.isascii() for c in slice_):
        names.append("lookalike letters")
    first, last = reading.offsets[begin], reading.offsets[end]
    if (
        len(reading.text[first : last + 1].encode("utf-8", "replace")) > last - first + 1
        and not names
        and ascii_wanted
    ):
        names.append("invisible characters")
    return names
