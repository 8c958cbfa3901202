"""Ways to disguise a name, as data: tests inside rules use them, and so does the benchmark.

Each attack takes a name and returns it disguised, the same way every time (the randomness is seeded with the
attack and the name), so a rule's test cannot pass by luck on one run and fail on the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from random import Random

# Cyrillic, Greek and other letters that look like Latin ones (a small part of UTS #39's table).
_HOMOGLYPHS = dict(
    zip("abcehijkmnopstuvxyABCEHIKMNOPSTXYZ", "аЬсеһіјкмпорѕтυνхуАВСЕНІКМΝОРЅТХҮΖ", strict=True)
)  # fmt: skip
_LEET = {"a": "4", "b": "8", "e": "3", "g": "9", "i": "1", "l": "1", "o": "0", "s": "5", "t": "7", "z": "2"}
_LEET_SYMBOLS = {"a": "@", "e": "€", "i": "!", "l": "|", "o": "0", "s": "$", "t": "+"}
_CYRILLIC = {
    "shch": "щ", "sh": "ш", "ch": "ч", "zh": "ж", "kh": "х", "ph": "ф", "th": "т", "ck": "к", "ts": "ц",
    "ya": "я", "yu": "ю", "yo": "ё", "oo": "у", "ee": "и",
    "a": "а", "b": "б", "c": "к", "d": "д", "e": "е", "f": "ф", "g": "г", "h": "х", "i": "и", "j": "дж",
    "k": "к", "l": "л", "m": "м", "n": "н", "o": "о", "p": "п", "q": "к", "r": "р", "s": "с", "t": "т",
    "u": "у", "v": "в", "w": "в", "x": "кс", "y": "й", "z": "з",
}  # fmt: skip
_KEYBOARD_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _each_letter(change: Callable[[str], str]) -> Callable[[str, Random], str]:
    return lambda name, rng: "".join(change(c) if c.isalpha() else c for c in name)


def _after_each_letter(mark: str) -> Callable[[str, Random], str]:
    return _each_letter(lambda c: c + mark)


def _between_letters(mark: str) -> Callable[[str, Random], str]:
    return lambda name, rng: "   ".join(mark.join(word) for word in name.split())


def _table(table: Mapping[str, str]) -> Callable[[str, Random], str]:
    return _each_letter(lambda c: table.get(c, table.get(c.lower(), c)))


def _shift(lower: int, upper: int) -> Callable[[str, Random], str]:
    """Moves a-z and A-Z to other alphabets of Unicode that start at these code points."""

    def change(c: str) -> str:
        if not c.isascii():
            return c
        return chr(ord(c) - 97 + lower) if c.islower() else chr(ord(c) - 65 + upper)

    return _each_letter(change)


def _tag_noise(name: str, rng: Random) -> str:
    return "".join(c + chr(0xE0000 + rng.randrange(0x61, 0x7B)) for c in name)


def _repeat_vowels(name: str, rng: Random) -> str:
    return "".join(c * rng.randint(2, 4) if c.lower() in "aeiouy" else c for c in name)


def _transliterate(name: str, rng: Random) -> str:
    result, rest = "", name.lower()
    while rest:
        size = next((n for n in (4, 2, 1) if rest[:n] in _CYRILLIC), 1)
        result, rest = result + _CYRILLIC.get(rest[:size], rest[:size]), rest[size:]
    return result.title()


def _last_name_first(name: str, rng: Random) -> str:
    *first, last = name.split()
    return f"{last}, {' '.join(first)}" if first else name


def _neighbour(letter: str, rng: Random) -> str:
    row = next((row for row in _KEYBOARD_ROWS if letter in row), "etaoin")
    index = max(row.find(letter), 0)
    return rng.choice([c for c in row[max(index - 1, 0) : index + 2] if c != letter])


def _typo(name: str, rng: Random) -> str:
    """One typing error inside a word: a letter left out, doubled by a neighbour, mistyped, or swapped."""
    places = [i for i, c in enumerate(name) if c.isalpha()]
    at = rng.choice(places)
    kind = rng.choice(("omit", "insert", "replace", "swap"))
    if kind == "swap" and at + 1 in places and name[at].lower() != name[at + 1].lower():
        return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    if kind == "omit":
        return name[:at] + name[at + 1 :]
    letter = _neighbour(name[at].lower(), rng)
    return name[: at + (kind == "insert")] + letter + name[at + 1 :]


def _two_typos(name: str, rng: Random) -> str:
    return _typo(_typo(name, rng), rng)


ATTACKS: Mapping[str, Callable[[str, Random], str]] = {
    "plain": lambda name, rng: name,
    "case": lambda name, rng: "".join(rng.choice((c.lower(), c.upper())) for c in name),
    "homoglyphs": _table(_HOMOGLYPHS),
    "zero-width": _after_each_letter("\u200b"),
    "soft-hyphen": _after_each_letter("\u00ad"),
    "tag-characters": _tag_noise,
    "full-width": _shift(0xFF41, 0xFF21),
    "math-bold": _shift(0x1D41A, 0x1D400),
    "strike-through": _after_each_letter("\u0336"),
    "underscore": lambda name, rng: name.replace(" ", "_"),
    "leet": _table(_LEET),
    "leet-symbols": _table(_LEET_SYMBOLS),
    "spaced-out": _between_letters(" "),
    "dotted": _between_letters("."),
    "joined": lambda name, rng: "".join(name.split()),
    "repeated": _repeat_vowels,
    "last-name-first": _last_name_first,
    "one-typo": _typo,
    "two-typos": _two_typos,
    "transliteration": _transliterate,
    "prompt-weights": lambda name, rng: "".join(f"({word}:1.{rng.randint(1, 9)})" for word in name.split()),
}


def disguise(attack: str, name: str) -> str:
    """Returns `name` under `attack`, one of `ATTACKS`; the same arguments give the same result."""
    seed = hashlib.sha256(f"{attack}\0{name}".encode()).digest()
    return ATTACKS[attack](name, Random(seed))  # noqa: S311 - reproducible disguises, not secrets
